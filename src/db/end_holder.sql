-- Ends the server process that holds the message of topic $1 with rank $2 and seq $3, if it is of
-- this role, its transaction began $4 milliseconds ago or earlier, and nothing was asked of it for
-- $5; returns how many. For a client that is gone and does not know its server process: a row says
-- which transaction has locked it.
-- Index: the primary key.
SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(backend.pid)) AS ended
FROM (
    SELECT message.xmax AS holder
    FROM outtray.message
    WHERE message.topic = $1::text AND message.rank = $2::smallint AND message.seq = $3::bigint
    OFFSET 0
) AS held
INNER JOIN pg_catalog.pg_stat_activity AS backend ON backend.backend_xid = held.holder
WHERE backend.usename = session_user
    AND backend.datname = pg_catalog.current_database()
    AND backend.state IN ('idle in transaction'::text, 'idle in transaction (aborted)'::text)
    AND (extract(epoch FROM least(
        greatest(pg_catalog.clock_timestamp() - backend.xact_start, '0 s'::interval), '1 year'::interval
    )) * 1000::numeric)::bigint >= $4::bigint
    AND (extract(epoch FROM least(
        greatest(pg_catalog.clock_timestamp() - backend.state_change, '0 s'::interval), '1 year'::interval
    )) * 1000::numeric)::bigint >= $5::bigint
