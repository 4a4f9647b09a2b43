-- The sessions that wait for a lock, the longest wait first as far as a statement's age shows it.
-- `waiting` counts all of them; the caller asks about the first few only, as blockers.sql is dear.
-- A session whose wait our role may not see is not counted.
SELECT a.pid, count(*) OVER ()::int AS waiting
FROM pg_stat_get_activity(NULL) AS a
WHERE a.wait_event_type = 'Lock'
ORDER BY a.query_start, a.pid
LIMIT %(most)s
