-- Moves up to $1 scheduled messages that are due of the topics from $2 up to, but without, $3, and
-- returns what `move_due` does, as it does: for the topics on either side of one that has very
-- many. Index: scheduled_due, in which the topics are looked at without reading a row. The caller
-- keeps the planner from sorting.
WITH due AS MATERIALIZED (
    SELECT
        scheduled.topic, scheduled.id,
        scheduled.key IS NOT NULL AND scheduled.seq IS NULL AS has_to_line_up
    FROM outtray.scheduled
    WHERE scheduled.due_at <= (SELECT clock_timestamp())
        AND scheduled.due_at < 'infinity'
        AND scheduled.topic >= $2::text
        AND scheduled.topic < $3::text
    ORDER BY scheduled.due_at
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
),
taken AS (
    -- By all of the key, as in `acknowledge`.
    DELETE FROM outtray.scheduled
    USING due
    WHERE scheduled.topic = ANY (ARRAY[due.topic])
        AND scheduled.id = due.id
        AND NOT due.has_to_line_up
    RETURNING
        scheduled.topic, scheduled.rank, scheduled.id, scheduled.attempts, scheduled.sent_at,
        scheduled.headers, scheduled.payload, scheduled.body, scheduled.due_at,
        scheduled.key, scheduled.expires_at, scheduled.on_end, scheduled.seq, scheduled.failures
),
moved AS (
    INSERT INTO outtray.message
        (topic, rank, seq, id, attempts, sent_at, headers, payload, body, key, expires_at, on_end, failures, due_at)
    SELECT
        taken.topic, taken.rank,
        CASE
            WHEN taken.seq IS NOT NULL
            AND (
                -- Somebody put another into its place, by hand: it goes to the end.
                SELECT message.seq
                FROM outtray.message
                WHERE message.topic = taken.topic
                    AND message.rank = taken.rank
                    AND message.seq = taken.seq
                LIMIT 1
            ) IS NULL
            THEN taken.seq
            ELSE nextval('outtray.message_seq'::regclass)
        END,
        taken.id,
        taken.attempts, taken.sent_at, taken.headers, taken.payload, taken.body,
        taken.key, taken.expires_at, taken.on_end, taken.failures, taken.due_at
    FROM taken
    ORDER BY taken.due_at, taken.id
    RETURNING topic
)
SELECT moved.topic, count(moved.topic) AS messages, NULL AS line_topics, NULL AS line_ids
FROM moved
GROUP BY moved.topic
UNION ALL
SELECT NULL, 0 AS messages, array_agg(due.topic) AS line_topics, array_agg(due.id) AS line_ids
FROM due
WHERE due.has_to_line_up
HAVING count(*) > 0
