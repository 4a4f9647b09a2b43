-- How many sessions there are, in the cheapest form, which any role may read. It counts parallel
-- and other background workers as well, so it only stands in where connections.sql gave nothing.
SELECT coalesce(sum(numbackends), 0)::int AS sessions
FROM pg_stat_database
