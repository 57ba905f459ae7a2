-- Moves up to $1 messages with keys that are due, and have no place yet, behind those of their keys, and makes the keys
-- stalled: those who look after lines take them from there. Needs no lane, and so waits for nobody.
-- Index: scheduled_due. SKIP LOCKED, so that several processes may run it at once.
WITH due AS MATERIALIZED (
    SELECT scheduled.topic, scheduled.id
    FROM outtray.scheduled
    WHERE scheduled.due_at <= clock_timestamp()
        AND scheduled.key IS NOT NULL
        AND scheduled.seq IS NULL
    ORDER BY scheduled.due_at
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
),
taken AS (
    DELETE FROM outtray.scheduled
    USING due
    WHERE scheduled.topic = due.topic
        AND scheduled.id = due.id
    RETURNING
        scheduled.topic, scheduled.rank, scheduled.id, scheduled.attempts, scheduled.sent_at,
        scheduled.headers, scheduled.payload, scheduled.body, scheduled.due_at,
        scheduled.key, scheduled.expires_at, scheduled.on_end
),
stuck AS (
    INSERT INTO outtray.stalled (topic, key, said_by)
    SELECT taken.topic, taken.key, taken.id
    FROM taken
)
INSERT INTO outtray.follower
    (topic, key, rank, id, attempts, sent_at, expires_at, on_end, headers, payload, body)
SELECT
    taken.topic, taken.key, taken.rank, taken.id, taken.attempts, taken.sent_at,
    taken.expires_at, taken.on_end, taken.headers, taken.payload, taken.body
FROM taken
ORDER BY taken.due_at, taken.id
