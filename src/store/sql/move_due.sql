-- Moves up to $1 scheduled messages that are due to their topics; returns those topics with how many, and, without a
-- topic, how many are due that have to get behind others of their key: `line_up_due` moves them.
-- Index: scheduled_due. SKIP LOCKED, so that several processes may run it at once.
WITH due AS MATERIALIZED (
    SELECT scheduled.topic, scheduled.id, scheduled.key IS NOT NULL AND scheduled.seq IS NULL AS has_to_line_up
    FROM outtray.scheduled
    WHERE scheduled.due_at <= clock_timestamp()
    ORDER BY scheduled.due_at
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
),
taken AS (
    DELETE FROM outtray.scheduled
    USING due
    WHERE scheduled.topic = due.topic
        AND scheduled.id = due.id
        AND NOT due.has_to_line_up
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
UNION ALL
SELECT NULL, count(*) AS messages
FROM due
WHERE due.has_to_line_up
HAVING count(*) > 0
