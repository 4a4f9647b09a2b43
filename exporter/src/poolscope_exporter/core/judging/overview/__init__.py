"""The state of all pools in short, as a person reads it: the worst first."""
