"""The commands other than `run`: check, audit, health."""
