"""PostgreSQL: read its sessions, limits and privileges at intervals."""
