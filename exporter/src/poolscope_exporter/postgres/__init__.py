"""PostgreSQL: its sessions, limits and privileges, read on a clock."""
