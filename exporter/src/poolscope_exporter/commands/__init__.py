"""The commands beside `run`: check, audit, health."""
