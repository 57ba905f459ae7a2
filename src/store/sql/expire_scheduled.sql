-- Takes up to $1 messages that wait and whose time is over: they become dead letters with the error $3 and, of a retry,
-- the one it failed with; but those of the topics $2 are gone. Returns them all, the key of those that hold its turn.
-- They wait for no others any more.
-- Leased ones are left to those who work on them.
-- Index: scheduled_expiry, up to the time that is read once.
WITH over AS MATERIALIZED (
    SELECT scheduled.topic, scheduled.id
    FROM outtray.scheduled
    WHERE scheduled.expires_at <= (SELECT clock_timestamp())
        AND scheduled.receipt IS NULL
    ORDER BY scheduled.expires_at
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
),
taken AS (
    DELETE FROM outtray.scheduled
    USING over
    WHERE scheduled.topic = over.topic
        AND scheduled.id = over.id
    RETURNING
        scheduled.topic, scheduled.rank, scheduled.seq, scheduled.id, scheduled.attempts, scheduled.error,
        scheduled.sent_at, scheduled.headers, scheduled.payload, scheduled.body,
        scheduled.key, scheduled.expires_at, scheduled.on_end
),
cleared AS (
    -- What they waited for.
    DELETE FROM outtray.dependency
    USING taken
    WHERE dependency.topic = taken.topic
        AND dependency.id = taken.id
),
kept AS (
    INSERT INTO outtray.dead_letter
        (topic, id, rank, attempts, reason, error, sent_at, died_at, headers, payload, body,
        key, expires_at, on_end, seq)
    SELECT
        taken.topic, taken.id, taken.rank, taken.attempts, 'expired', $3::text || coalesce('; before: ' || taken.error, ''),
        taken.sent_at, clock_timestamp(), taken.headers, taken.payload, taken.body,
        taken.key, taken.expires_at, taken.on_end, taken.seq
    FROM taken
    WHERE taken.topic <> ALL ($2::text[])
)
SELECT
    taken.topic, taken.rank, coalesce(taken.seq, 0) AS seq, taken.id,
    CASE WHEN taken.seq IS NOT NULL THEN taken.key END AS key, taken.on_end
FROM taken
