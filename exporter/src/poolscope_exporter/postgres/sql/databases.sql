-- Names and limits of the databases that may have sessions; a negative limit is none.
SELECT oid::int8 AS oid, datname::text AS name, datconnlimit AS connection_limit
FROM pg_database
WHERE datallowconn
