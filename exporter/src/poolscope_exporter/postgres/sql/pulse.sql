-- A sign of life, and the one fact that may change while a connection lasts: a replica that is
-- promoted keeps its sessions. Touches no table, so nobody's lock is in the way.
SELECT pg_is_in_recovery() AS in_recovery
