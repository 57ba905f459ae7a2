-- Returns the first $2 ready messages of topic $1 in claim order, also those in work, and after them those that wait behind
-- others of their key, by key; takes nothing.
-- Index: the primary keys.
SELECT
    waiting.rank, waiting.seq, waiting.id, waiting.attempts, waiting.sent_at_us,
    waiting.headers, waiting.payload, waiting.body
FROM (
    (
        SELECT
            0 AS part, NULL AS key, message.rank, message.seq, message.id, message.attempts,
            (extract(epoch FROM message.sent_at) * 1000000)::bigint AS sent_at_us,
            message.headers::text, message.payload::text, message.body
        FROM outtray.message
        WHERE message.topic = $1::text
        ORDER BY message.rank, message.seq
        LIMIT $2::bigint
    )
    UNION ALL
    (
        SELECT
            1 AS part, follower.key, follower.rank, follower.seq, follower.id, follower.attempts,
            (extract(epoch FROM follower.sent_at) * 1000000)::bigint AS sent_at_us,
            follower.headers::text, follower.payload::text, follower.body
        FROM outtray.follower
        WHERE follower.topic = $1::text
        ORDER BY follower.key, follower.seq
        LIMIT $2::bigint
    )
) AS waiting
ORDER BY waiting.part, waiting.key, CASE waiting.part WHEN 0 THEN waiting.rank END, waiting.seq
LIMIT $2::bigint
