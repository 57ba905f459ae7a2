-- Returns keys of topic $1 whose messages wait behind a dead letter of theirs, if the topic's
-- settings say so, with the dead letter and how many wait, counted up to $2. Index:
-- dead_letter_key, through whose keys it skips, as far as the 1,000th, and the primary key.
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
        ) AS key,
        1::bigint AS number
    FROM outtray.topic
    WHERE topic.topic = $1::text
        AND topic.poisoned_key = 'block'::text
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
        ) AS key,
        poisoned.number + 1
    FROM poisoned
    WHERE poisoned.key IS NOT NULL
        AND poisoned.number < 1000
)
SELECT held.key, held.waiting
FROM (
    SELECT
        poisoned.key,
        (
            SELECT count(*)
            FROM (
                SELECT FROM outtray.follower
                WHERE follower.topic = poisoned.topic
                    AND follower.key = poisoned.key
                LIMIT $2::bigint
            ) AS counted
        ) AS waiting
    FROM poisoned
    WHERE poisoned.key IS NOT NULL
) AS held
WHERE held.waiting > 0
ORDER BY held.key
LIMIT 20
