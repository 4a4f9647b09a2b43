"""The incident that is recorded once, and what is written and drawn from it."""
