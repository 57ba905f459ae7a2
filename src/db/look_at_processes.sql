-- Returns which of the server processes $1 are there, whether each is at work on a statement
-- (nothing: not to be seen), and for how many milliseconds it has been in that state. One that
-- waits for its client is not at work.
SELECT
    backend.pid AS process,
    CASE
        WHEN backend.state IS NULL OR backend.state = 'disabled'::text THEN NULL
        ELSE backend.state IN ('active'::text, 'fastpath function call'::text)
            AND backend.wait_event_type IS DISTINCT FROM 'Client'::text
    END AS is_at_work,
    (extract(epoch FROM least(
        greatest(pg_catalog.clock_timestamp() - backend.state_change, '0 s'::interval), '1 year'::interval
    )) * 1000::numeric)::bigint AS since_ms
FROM pg_catalog.pg_stat_activity AS backend
WHERE backend.pid = ANY ($1::integer[])
