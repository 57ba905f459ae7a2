-- Returns keys with messages that wait behind a dead letter of theirs, in topics whose settings say
-- so. Index: dead_letter_key, through whose keys it skips, as far as the 1,000th, and the primary
-- key.
WITH RECURSIVE poisoned AS (
    SELECT
        topic.topic,
        (
            SELECT dead_letter.key
            FROM outtray.dead_letter
            WHERE dead_letter.topic COLLATE "POSIX" = topic.topic
                AND dead_letter.key IS NOT NULL
            ORDER BY dead_letter.key
            LIMIT 1
        ) AS key
    FROM outtray.topic
    WHERE topic.poisoned_key = 'block'::text
    UNION ALL
    SELECT
        poisoned.topic,
        (
            SELECT dead_letter.key
            FROM outtray.dead_letter
            WHERE dead_letter.topic COLLATE "POSIX" = poisoned.topic
                AND dead_letter.key IS NOT NULL
                AND dead_letter.key > poisoned.key
            ORDER BY dead_letter.key
            LIMIT 1
        ) AS key
    FROM poisoned
    WHERE poisoned.key IS NOT NULL
)
SELECT held.topic, held.key
FROM (
    SELECT poisoned.topic, poisoned.key
    FROM poisoned
    WHERE poisoned.key IS NOT NULL
    LIMIT 1000
) AS held
WHERE EXISTS (
    SELECT FROM outtray.follower
    WHERE follower.topic = held.topic
        AND follower.key = held.key
    OFFSET 0
)
ORDER BY held.topic, held.key
