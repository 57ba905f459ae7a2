-- Makes the first message ready of those that are next of their stalled keys in topic $1; returns
-- its place. For a topic in strict order, by who holds its turn: a sender may hold the lane for
-- long, and nothing may overtake what it left. Of a key of which nothing is out of its line the
-- first that is committed may go without the lane: whoever sends meanwhile gets behind it, or sees
-- it ready; and who moves the line meanwhile moves the same one, which has gone then. Indexes: the
-- primary keys, message_key, scheduled_key, dead_letter_key.
WITH next AS MATERIALIZED (
    SELECT first.topic, first.key, first.rank, first.seq
    FROM (SELECT DISTINCT stalled.key FROM outtray.stalled WHERE stalled.topic = $1::text) AS stuck
    CROSS JOIN LATERAL (
        SELECT follower.topic, follower.key, follower.rank, follower.seq
        FROM outtray.follower
        WHERE follower.topic = $1::text
            AND follower.key = stuck.key
        ORDER BY follower.seq
        LIMIT 1
    ) AS first
    WHERE NOT EXISTS (
            SELECT FROM outtray.message WHERE message.topic COLLATE "POSIX" = $1::text AND message.key = stuck.key
            OFFSET 0
        )
        AND NOT EXISTS (
            SELECT FROM outtray.scheduled
            WHERE scheduled.topic COLLATE "POSIX" = $1::text AND scheduled.key = stuck.key AND scheduled.seq IS NOT NULL
            OFFSET 0
        )
        AND NOT EXISTS (
            SELECT FROM outtray.dead_letter
            WHERE dead_letter.topic COLLATE "POSIX" = $1::text
                AND dead_letter.key = stuck.key
                AND dead_letter.seq < first.seq
                AND (
                    SELECT coalesce(max(topic.poisoned_key), 'skip') FROM outtray.topic WHERE topic.topic = $1::text
                ) <> 'skip'
            OFFSET 0
        )
    ORDER BY first.rank, first.seq
    LIMIT 1
),
held AS MATERIALIZED (
    SELECT follower.topic, follower.key, follower.seq
    FROM next
    JOIN outtray.follower
        ON follower.topic = next.topic
        AND follower.key = next.key
        AND follower.seq = next.seq
    FOR UPDATE OF follower SKIP LOCKED
),
taken AS (
    DELETE FROM outtray.follower
    USING held
    WHERE follower.topic = ANY (ARRAY[held.topic])
        AND follower.key = held.key
        AND follower.seq = held.seq
    RETURNING
        follower.topic, follower.rank, follower.seq, follower.id, follower.attempts, follower.sent_at,
        follower.key, follower.expires_at, follower.on_end, follower.failures, follower.headers, follower.payload, follower.body
)
INSERT INTO outtray.message
    (topic, rank, seq, id, attempts, sent_at, key, expires_at, on_end, failures, headers, payload, body)
SELECT
    taken.topic, taken.rank, taken.seq, taken.id, taken.attempts, taken.sent_at,
    taken.key, taken.expires_at, taken.on_end, taken.failures, taken.headers, taken.payload, taken.body
FROM taken
RETURNING message.rank, message.seq
