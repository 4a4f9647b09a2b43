-- Sessions by database, role and state, our own included: each of them takes a slot.
-- Nothing is filtered by backend_type: to a role without privileges it is NULL for everybody
-- else's session, so that a filter would show an empty server, which reads as a healthy one.
SELECT
    datid::int8 AS database_oid,
    usesysid::int8 AS role_oid,
    backend_type,
    state,
    count(*)::int AS sessions,
    -- Our own session is at work while it counts, and always would be found so.
    count(*) FILTER (
        WHERE state = 'active' AND wait_event IS NULL AND pid <> pg_backend_pid()
    )::int AS on_cpu,
    count(*) FILTER (WHERE wait_event_type = 'Lock')::int AS lock_waiters
FROM pg_stat_get_activity(NULL)
GROUP BY 1, 2, 3, 4
