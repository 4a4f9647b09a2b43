-- When this postmaster started, which identifies it; changes with a restart or a fail-over.
-- Asked by itself, like every fact of the server: any of these functions may be revoked.
SELECT extract(epoch FROM pg_postmaster_start_time())::float8 AS started_at_s
