-- Returns for how many milliseconds a server process of this role has been at work on a statement
-- in this database at most, but for the one that is asked; nothing if none is.
SELECT pg_catalog.max((extract(epoch FROM least(
    greatest(pg_catalog.clock_timestamp() - backend.query_start, '0 s'::interval), '1 year'::interval
)) * 1000::numeric)::bigint) AS longest_ms
FROM pg_catalog.pg_stat_activity AS backend
WHERE backend.datname = pg_catalog.current_database()
    AND backend.usename = session_user
    AND backend.pid <> pg_catalog.pg_backend_pid()
    AND backend.state IN ('active'::text, 'fastpath function call'::text)
    AND backend.wait_event_type IS DISTINCT FROM 'Client'::text
