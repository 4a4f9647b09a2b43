"""What the polls of PostgreSQL and PgBouncer share: loop, connection, errors, record."""
