-- The largest groups of client sessions with one database, role, program and client, instrumented
-- or not: the tenant that fills the server has a name. The sums cover all groups, not only these.
-- To a role without privileges, the type, address and port of everybody else's session are NULL.
-- Such a session is hidden, not local: only a visible one without an address uses a Unix socket.
-- Names are joined later, from what was read before, so that a locked catalogue is not waited for.
SELECT
    datid::int8 AS database_oid,
    usesysid::int8 AS role_oid,
    application_name,
    host(client_addr) AS client_address,
    backend_type IS NULL AS hidden,
    count(*)::int AS sessions,
    (sum(count(*)) OVER ())::int AS all_sessions,
    (sum(count(*) FILTER (WHERE backend_type IS NULL)) OVER ())::int AS all_hidden
FROM pg_stat_get_activity(NULL)
WHERE coalesce(backend_type = 'client backend', datid IS NOT NULL AND usesysid IS NOT NULL)
GROUP BY 1, 2, 3, 4, 5
ORDER BY sessions DESC, 1, 2, 3, 4
LIMIT 200
