-- Names and limits of the roles that may have sessions; -1 is no limit.
-- Superusers are exempt from their limit.
SELECT oid::int8 AS oid, rolname::text AS name, CASE WHEN rolsuper THEN -1 ELSE rolconnlimit END AS connection_limit
FROM pg_roles
WHERE rolcanlogin
