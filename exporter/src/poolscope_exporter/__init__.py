"""Link each connection that an app holds to its PostgreSQL session, and report what is wrong."""
