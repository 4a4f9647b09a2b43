"""The dashboard that is opened first: every pool, the worst first."""
