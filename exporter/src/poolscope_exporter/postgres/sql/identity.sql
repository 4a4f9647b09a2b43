-- Who answers, and as whom: facts that change only with a restart, a fail-over or a grant.
-- Any role may read all of it. `server_pid` differs from the pid that the driver was told at
-- connect when a pooler sits in between.
SELECT
    current_setting('server_version_num')::int AS version_num,
    current_setting('server_version') AS version,
    extract(epoch FROM pg_postmaster_start_time())::float8 AS started_at_s,
    pg_is_in_recovery() AS in_recovery,
    current_user::text AS role,
    pg_backend_pid() AS server_pid,
    host(inet_server_addr()) AS server_address,
    inet_server_port() AS server_port,
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_all,
    EXISTS (
        SELECT FROM pg_roles AS other
        WHERE other.rolcanlogin
            AND other.rolname <> current_user
            AND pg_has_role(current_user, other.oid, 'USAGE')
    ) AS sees_members,
    -- The role exists from PostgreSQL 16 on.
    EXISTS (
        SELECT FROM pg_roles AS reserve
        WHERE reserve.rolname = 'pg_use_reserved_connections'
            AND pg_has_role(current_user, reserve.oid, 'USAGE')
    ) AS uses_reserve
