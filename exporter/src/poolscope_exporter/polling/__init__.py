"""Shared by the polls of PostgreSQL and of PgBouncer: loop, connection, errors and record."""
