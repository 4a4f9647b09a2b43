-- Who blocks the given pids. Each call takes every partition of the lock manager for a moment,
-- so the caller asks only for sessions that wait for a lock, and for a few at a time.
SELECT pid, pg_blocking_pids(pid) AS blocked_by
FROM unnest(%(pids)s::int[]) AS p(pid)
