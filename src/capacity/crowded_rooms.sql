-- Returns the topics with more than $1 notes of vacated room that are counted.
-- Index: the primary keys, which it skips through for the topics.
WITH RECURSIVE known AS (
    (SELECT vacated.topic FROM outtray.vacated ORDER BY vacated.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT vacated.topic FROM outtray.vacated WHERE vacated.topic > known.topic ORDER BY vacated.topic LIMIT 1)
    FROM known
    WHERE known.topic IS NOT NULL
)
SELECT known.topic
FROM known
JOIN outtray.room ON room.topic = known.topic
WHERE EXISTS (
    SELECT FROM outtray.vacated
    WHERE vacated.topic = known.topic
    OFFSET $1::bigint
    LIMIT 1
)
