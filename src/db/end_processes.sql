-- Ends those of the server processes $1 whose transaction is open and whose client is gone; returns
-- how many. Each has to have begun so many milliseconds ($2) ago as its connection did: a number
-- may have gone to another process since.
SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(backend.pid)) AS ended
FROM unnest($1::integer[], $2::bigint[]) AS lost (process, age_ms)
INNER JOIN pg_catalog.pg_stat_activity AS backend ON backend.pid = lost.process
WHERE backend.usename = session_user
    AND backend.state IN ('idle in transaction'::text, 'idle in transaction (aborted)'::text)
    AND abs(extract(epoch FROM least(
        greatest(pg_catalog.clock_timestamp() - backend.backend_start, '0 s'::interval), '1000 years'::interval
    )) * 1000::numeric - lost.age_ms::numeric) < 5000::numeric
