"""Say whether a connection pool leaks, is too small, is blocked or is slow, and who holds it."""
