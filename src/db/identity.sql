-- Returns what two databases do not have in common: a number in its server, and when that server
-- started.
SELECT
    pg_database.oid::bigint AS database,
    (extract(epoch FROM least(pg_postmaster_start_time(), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS started_us
FROM pg_catalog.pg_database
WHERE pg_database.datname = current_database()
