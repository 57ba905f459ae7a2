-- Moves failed messages of topic $1 (ranks $2, seqs $3) to where they wait: attempts so far $4,
-- delays $5 in microseconds from now, errors $6, and what is kept of each attempt $7, if it failed
-- and was one. The caller holds their locks. A message with a key
-- keeps its place: nothing of its key overtakes it. Others come back at the end.
WITH failed AS MATERIALIZED (
    SELECT $1::text AS topic, failed.rank, failed.seq, failed.attempts, failed.delay_us, failed.error,
        failed.failure
    FROM unnest($2::smallint[], $3::bigint[], $4::smallint[], $5::bigint[], $6::text[], $7::text[])
        AS failed (rank, seq, attempts, delay_us, error, failure)
    -- Always so, as in `bury`.
    WHERE failed.seq BETWEEN -9223372036854775807 AND 9223372036854775807
),
taken AS (
    -- By all of the key, as in `acknowledge`.
    DELETE FROM outtray.message
    USING failed
    WHERE message.topic = ANY (ARRAY[failed.topic])
        AND message.rank = failed.rank
        AND message.seq = failed.seq
    RETURNING
        message.topic, message.rank, message.id, failed.attempts, message.sent_at,
        message.headers, message.payload, message.body, failed.delay_us, failed.error,
        message.key, message.expires_at, message.on_end, message.failures, failed.failure,
        CASE WHEN message.key IS NOT NULL THEN message.seq END AS seq
)
INSERT INTO outtray.scheduled
    (topic, rank, id, attempts, sent_at, headers, payload, body, key, expires_at, on_end, seq, due_at, error, failures)
SELECT
    taken.topic, taken.rank, taken.id, taken.attempts, taken.sent_at,
    taken.headers, taken.payload, taken.body, taken.key, taken.expires_at, taken.on_end, taken.seq,
    -- Not now(): the transaction may have begun long ago.
    clock_timestamp() + taken.delay_us::float8 * interval '1 microsecond', taken.error,
    outtray.with_failure(taken.failures, taken.failure, (extract(epoch FROM clock_timestamp()) * 1000000::numeric)::bigint)
FROM taken
