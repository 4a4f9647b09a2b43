-- Make the role of the exporter, with only the rights that it needs. You can run this script again.
--
--   psql -X -d postgres -f role.sql
--   psql -X -d orders -v role=poolscope -v connection_limit=3 -f role.sql
--
-- Run it as a superuser, or as the administrator of a managed service (CREATEROLE). It sets no
-- password: run `\password poolscope` afterwards, or set up the log-in of your service.
-- For RDS, Aurora, Cloud SQL, Azure and PgBouncer, see docs/databases.md.

\set ON_ERROR_STOP on
\set QUIET on
\if :{?role}
\else
  \set role poolscope
\endif
-- One session is for the exporter, and one for a `check` at the same time. The third is for a session
-- that the network cut off and the server still counts. If you run sidecars with a DSN, set the number
-- of pods plus two.
\if :{?connection_limit}
\else
  \set connection_limit 3
\endif

BEGIN;
SET LOCAL search_path = pg_catalog;
SET LOCAL client_min_messages = warning;

-- Stop if the role exists and may do more than read: it probably has another purpose.
SELECT EXISTS (
    SELECT FROM pg_roles
    WHERE rolname = :'role'
        AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
) AS is_too_mighty \gset
\if :is_too_mighty
  \warn 'role.sql: the role' :role 'exists and may do more than look (SUPERUSER, CREATEROLE, CREATEDB, REPLICATION or BYPASSRLS): choose another name'
  -- psql ends here with exit code 3, because ON_ERROR_STOP is on.
  DO $$ BEGIN RAISE EXCEPTION 'nothing was changed'; END $$;
\endif

SELECT format('CREATE ROLE %I', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec

-- The role needs INHERIT: the exporter never sends SET ROLE, so its grants must apply without it.
ALTER ROLE :"role" WITH LOGIN INHERIT CONNECTION LIMIT :connection_limit;

-- Defaults that limit any other person who gets this log-in. The exporter sets stricter values itself.
ALTER ROLE :"role" SET default_transaction_read_only = on;
ALTER ROLE :"role" SET statement_timeout = '5s';
ALTER ROLE :"role" SET idle_in_transaction_session_timeout = '10s';

-- Grant CONNECT only if it was revoked from PUBLIC. By default, every role may connect.
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), :'role')
WHERE NOT has_database_privilege(:'role', current_database(), 'CONNECT') \gexec

-- List the roles that we may grant. A superuser may grant all of them. Before PostgreSQL 16, a role
-- with CREATEROLE may do so too. Since 16, it needs the ADMIN option, and managed services give that
-- for some roles only.
SELECT current_setting('server_version_num')::int >= 160000 AS grants_have_options \gset
SELECT
    CASE WHEN :'grants_have_options'::boolean THEN ' WITH INHERIT TRUE, SET FALSE' ELSE '' END
    AS only_inherited \gset
CREATE TEMPORARY TABLE grantable ON COMMIT DROP AS
SELECT
    each.rolname,
    me.rolsuper
    OR pg_has_role(current_user, each.oid, 'MEMBER WITH ADMIN OPTION')
    OR (me.rolcreaterole AND NOT :'grants_have_options'::boolean) AS by_us,
    pg_has_role(:'role', each.oid, 'USAGE') AS is_had
FROM pg_roles AS each, pg_roles AS me
WHERE me.rolname = current_user
    AND each.rolname IN ('pg_read_all_stats', 'pg_monitor', 'pg_use_reserved_connections');

-- The exporter needs pg_read_all_stats. pg_monitor includes it and more, so grant pg_monitor only if we
-- may not grant pg_read_all_stats.
SELECT format('GRANT %I TO %I%s', rolname, :'role', :'only_inherited')
FROM grantable
WHERE by_us AND rolname IN ('pg_read_all_stats', 'pg_monitor')
    AND NOT EXISTS (SELECT FROM grantable WHERE rolname = 'pg_read_all_stats' AND is_had)
ORDER BY rolname DESC
LIMIT 1 \gexec

-- PostgreSQL 16 and later: with this grant, the exporter can connect while the server is full, if
-- reserved_connections > 0.
SELECT format('GRANT %I TO %I%s', rolname, :'role', :'only_inherited')
FROM grantable
WHERE by_us AND rolname = 'pg_use_reserved_connections' AND NOT is_had \gexec
COMMIT;

-- Show the result.
\pset tuples_only off
\pset footer off
SELECT
    role.rolname AS role,
    role.rolconnlimit AS sessions,
    pg_has_role(role.oid, 'pg_read_all_stats', 'USAGE') AS sees_all_sessions,
    CASE
        WHEN current_setting('server_version_num')::int < 160000 THEN 'needs PostgreSQL 16'
        WHEN NOT EXISTS (
            SELECT FROM pg_roles AS reserve
            WHERE reserve.rolname = 'pg_use_reserved_connections'
                AND pg_has_role(role.oid, reserve.oid, 'USAGE')
        ) THEN 'not granted: we may not'
        WHEN current_setting('reserved_connections')::int = 0 THEN 'yes, once reserved_connections > 0'
        ELSE 'yes'
    END AS gets_into_a_full_server
FROM pg_roles AS role
WHERE role.rolname = :'role';

SELECT pg_has_role(:'role', 'pg_read_all_stats', 'USAGE') AS sees_all_sessions \gset
\if :sees_all_sessions
\else
  \warn 'role.sql:' :role 'sees the sessions of its own role alone: have somebody GRANT pg_read_all_stats, or pg_monitor, who may'
  DO $$ BEGIN RAISE EXCEPTION 'the role was made, and sees too little'; END $$;
\endif
