-- Finds keys with followers and nothing out of their line, of the first $3 keys with followers
-- after key $2 of topic $1: a guarantee against the unforeseen. Keys that a dead letter holds are
-- as they should be. Returns those, and the last key that it looked at, if there may be more.
-- `mark_stalled` notes them: where tables are distributed, no statement may be recursive and change
-- them. Index: the primary key of followers, which it skips through: one probe for each key.
WITH RECURSIVE waiting AS (
    (
        SELECT follower.topic, follower.key, follower.seq, 1::bigint AS number
        FROM outtray.follower
        WHERE (follower.topic, follower.key) > ($1::text, $2::text)
        ORDER BY follower.topic, follower.key, follower.seq
        LIMIT 1
    )
    UNION ALL
    SELECT next.topic, next.key, next.seq, waiting.number + 1
    FROM waiting
    CROSS JOIN LATERAL (
        SELECT follower.topic, follower.key, follower.seq
        FROM outtray.follower
        WHERE (follower.topic, follower.key) > (waiting.topic, waiting.key)
        ORDER BY follower.topic, follower.key, follower.seq
        LIMIT 1
    ) AS next
    WHERE waiting.number < $3::bigint
)
SELECT judged.topic, judged.key, judged.is_stuck, judged.number = $3::bigint AS is_last
FROM (
    SELECT
        waiting.topic, waiting.key, waiting.number,
        NOT EXISTS (
                SELECT FROM outtray.message WHERE message.topic COLLATE "POSIX" = waiting.topic AND message.key = waiting.key
                OFFSET 0
            )
            AND NOT EXISTS (
                SELECT FROM outtray.scheduled
                WHERE scheduled.topic COLLATE "POSIX" = waiting.topic AND scheduled.key = waiting.key AND scheduled.seq IS NOT NULL
                OFFSET 0
            )
            AND NOT EXISTS (
                SELECT FROM outtray.stalled WHERE stalled.topic = waiting.topic AND stalled.key = waiting.key
                OFFSET 0
            )
            AND NOT (
                coalesce(topic.poisoned_key, 'skip') = 'block'
                AND EXISTS (
                    SELECT FROM outtray.dead_letter
                    WHERE dead_letter.topic COLLATE "POSIX" = waiting.topic AND dead_letter.key = waiting.key AND dead_letter.seq < waiting.seq
                    OFFSET 0
                )
            ) AS is_stuck
    FROM waiting
    LEFT JOIN outtray.topic ON topic.topic = waiting.topic
) AS judged
WHERE judged.is_stuck
    OR judged.number = $3::bigint
