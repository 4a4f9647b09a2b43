-- The client sessions from the addresses that applications connect from; ages as in suspects.sql.
-- A session whose address our role may not see is left out: nothing can be said of it.
-- The bound is far above what a server holds: it keeps a mistake from filling our memory.
SELECT
    a.pid,
    false AS hidden,
    a.datid::int8 AS database_oid,
    a.usesysid::int8 AS role_oid,
    a.application_name,
    a.backend_type,
    a.state,
    a.wait_event_type,
    a.wait_event,
    host(a.client_addr) AS client_address,
    a.client_port,
    extract(epoch FROM a.backend_start)::float8 AS backend_start_s,
    extract(epoch FROM clock_timestamp() - a.backend_start)::float8 AS backend_age_s,
    extract(epoch FROM clock_timestamp() - a.state_change)::float8 AS state_age_s,
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS xact_age_s,
    extract(epoch FROM clock_timestamp() - a.query_start)::float8 AS query_age_s
FROM pg_stat_get_activity(NULL) AS a
WHERE a.client_addr = ANY(%(addresses)s::inet[])
LIMIT 20000
