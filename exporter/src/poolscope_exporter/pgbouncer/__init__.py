"""PgBouncer: its admin console, the poll of it, and groups behind one port."""
