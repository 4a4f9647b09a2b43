-- Which sessions of others the role may see, and whether it may use the reserved slots.
SELECT
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
