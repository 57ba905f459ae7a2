-- Moves leased messages of topic $1 (ids $2) to the dead letters: attempts $3, reasons $4, errors $5.
-- The caller holds their locks, and their receipts were right.
WITH taken AS (
    DELETE FROM outtray.scheduled
    USING unnest($2::uuid[], $3::smallint[], $4::text[], $5::text[]) AS failed (id, attempts, reason, error)
    WHERE scheduled.topic = $1::text
        AND scheduled.id = failed.id
    RETURNING
        scheduled.topic, scheduled.id, scheduled.rank, failed.attempts, failed.reason, failed.error,
        scheduled.sent_at, scheduled.headers, scheduled.payload, scheduled.body,
        scheduled.key, scheduled.expires_at, scheduled.on_end, scheduled.seq
)
INSERT INTO outtray.dead_letter
    (topic, id, rank, attempts, reason, error, sent_at, died_at, headers, payload, body,
    key, expires_at, on_end, seq)
SELECT
    taken.topic, taken.id, taken.rank, taken.attempts, taken.reason, taken.error,
    taken.sent_at, clock_timestamp(), taken.headers, taken.payload, taken.body,
    taken.key, taken.expires_at, taken.on_end, taken.seq
FROM taken
