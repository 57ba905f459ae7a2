-- Moves messages of topic $1 (ranks $2, seqs $3) to the dead letters: attempts $4, reasons $5, errors $6.
-- The caller holds their locks.
WITH failed AS MATERIALIZED (
    SELECT failed.rank, failed.seq, failed.attempts, failed.reason, failed.error
    FROM unnest($2::smallint[], $3::bigint[], $4::smallint[], $5::text[], $6::text[])
        AS failed (rank, seq, attempts, reason, error)
),
taken AS (
    DELETE FROM outtray.message
    USING failed
    WHERE message.topic = $1::text
        AND message.rank = failed.rank
        AND message.seq = failed.seq
    RETURNING
        message.topic, message.id, message.rank, failed.attempts, failed.reason, failed.error,
        message.sent_at, message.headers, message.payload, message.body
)
INSERT INTO outtray.dead_letter
    (topic, id, rank, attempts, reason, error, sent_at, died_at, headers, payload, body)
SELECT
    taken.topic, taken.id, taken.rank, taken.attempts, taken.reason, taken.error,
    taken.sent_at, clock_timestamp(), taken.headers, taken.payload, taken.body
FROM taken
