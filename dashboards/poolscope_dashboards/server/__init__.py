"""The dashboard of one PostgreSQL server and its PgBouncers."""
