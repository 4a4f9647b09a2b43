"""PgBouncer: its admin console, how it is polled, and groups behind one port."""
