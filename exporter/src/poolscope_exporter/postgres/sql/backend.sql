-- Differs from the pid that the driver was told at connect when a pooler sits in between.
SELECT pg_backend_pid() AS server_pid
