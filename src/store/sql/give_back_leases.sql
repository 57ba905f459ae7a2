-- Puts leased messages of topic $1 (ids $2 with receipts $3) back to their places, with $4 attempts less; returns the
-- receipts that were still good. Those that somebody cancelled are removed instead.
-- Index: the primary key.
WITH taken AS (
    DELETE FROM outtray.scheduled
    USING unnest($2::uuid[], $3::uuid[]) AS held (id, receipt)
    WHERE scheduled.topic = $1::text
        AND scheduled.id = held.id
        AND scheduled.receipt = held.receipt
    RETURNING
        scheduled.topic, scheduled.rank, scheduled.id, scheduled.attempts, scheduled.sent_at,
        scheduled.headers, scheduled.payload, scheduled.body,
        scheduled.key, scheduled.expires_at, scheduled.on_end, scheduled.seq, scheduled.is_cancelled, scheduled.receipt
),
given_back AS (
    INSERT INTO outtray.message
        (topic, rank, seq, id, attempts, sent_at, headers, payload, body, key, expires_at, on_end)
    SELECT
        taken.topic, taken.rank, coalesce(taken.seq, nextval('outtray.message_seq')), taken.id,
        greatest(taken.attempts::integer - $4::smallint, 0), taken.sent_at,
        taken.headers, taken.payload, taken.body, taken.key, taken.expires_at, taken.on_end
    FROM taken
    WHERE taken.is_cancelled IS NOT TRUE
)
SELECT taken.receipt
FROM taken
