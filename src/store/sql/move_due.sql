-- Moves up to $1 scheduled messages that are due to their topics; returns those topics with how many.
-- Index: scheduled_due, up to the time that is read once: compared with a function that may change its mind, each of
-- those that are not due would be looked at too. SKIP LOCKED, so that several processes may run it at once.
WITH due AS MATERIALIZED (
    SELECT scheduled.topic, scheduled.id
    FROM outtray.scheduled
    WHERE scheduled.due_at <= (SELECT clock_timestamp())
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
        scheduled.key, scheduled.expires_at, scheduled.on_end, scheduled.seq
),
moved AS (
    INSERT INTO outtray.message
        (topic, rank, seq, id, attempts, sent_at, headers, payload, body, key, expires_at, on_end)
    SELECT
        taken.topic, taken.rank, coalesce(taken.seq, nextval('outtray.message_seq')), taken.id,
        taken.attempts, taken.sent_at, taken.headers, taken.payload, taken.body,
        taken.key, taken.expires_at, taken.on_end
    FROM taken
    ORDER BY taken.due_at, taken.id
    RETURNING topic
)
SELECT moved.topic, count(moved.topic) AS messages
FROM moved
GROUP BY moved.topic
