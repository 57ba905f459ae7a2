-- Finds keys with followers and nothing out of their line, and makes them stalled, said by $1: a guarantee against the
-- unforeseen. Keys that a dead letter holds are as they should be; returns how many were found.
-- Index: the primary key of followers, which it skips through: one probe for each key.
WITH RECURSIVE waiting AS (
    (SELECT follower.topic, follower.key, follower.seq FROM outtray.follower ORDER BY follower.topic, follower.key, follower.seq LIMIT 1)
    UNION ALL
    SELECT next.topic, next.key, next.seq
    FROM waiting
    CROSS JOIN LATERAL (
        SELECT follower.topic, follower.key, follower.seq
        FROM outtray.follower
        WHERE (follower.topic, follower.key) > (waiting.topic, waiting.key)
        ORDER BY follower.topic, follower.key, follower.seq
        LIMIT 1
    ) AS next
)
INSERT INTO outtray.stalled (topic, key, said_by)
SELECT waiting.topic, waiting.key, $1::uuid
FROM waiting
LEFT JOIN outtray.topic ON topic.topic = waiting.topic
WHERE NOT EXISTS (
        SELECT FROM outtray.message WHERE message.topic = waiting.topic AND message.key = waiting.key
    )
    AND NOT EXISTS (
        SELECT FROM outtray.scheduled
        WHERE scheduled.topic = waiting.topic AND scheduled.key = waiting.key AND scheduled.seq IS NOT NULL
    )
    AND NOT EXISTS (
        SELECT FROM outtray.stalled WHERE stalled.topic = waiting.topic AND stalled.key = waiting.key
    )
    AND NOT (
        coalesce(topic.config ->> 'poisoned_key', 'skip') = 'block'
        AND EXISTS (
            SELECT FROM outtray.dead_letter
            WHERE dead_letter.topic = waiting.topic AND dead_letter.key = waiting.key AND dead_letter.seq < waiting.seq
        )
    )
