-- The sessions behind the given pids. One call per pid costs a fifth of filtering the whole list
-- (2,000 sessions, 50 pids). The caller keeps NULL and -1 out of the list: for the function they
-- mean everybody. Ages come from the server's own clock; a NULL stays NULL, because 0 would be an
-- age. `hidden` says that our role may not see the session's state.
SELECT
    a.pid,
    a.backend_type IS NULL AS hidden,
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
FROM unnest(%(pids)s::int[]) AS p(pid)
CROSS JOIN LATERAL pg_stat_get_activity(p.pid) AS a
