"""Link every connection an application holds to its PostgreSQL session, and say what is wrong."""
