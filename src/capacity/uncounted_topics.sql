-- Returns up to $1 topics that nobody counts, and in which notes of vacated room are left all the
-- same. Index: the primary keys, which it skips through for the topics.
WITH RECURSIVE known AS (
    (SELECT vacated.topic FROM outtray.vacated ORDER BY vacated.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT vacated.topic FROM outtray.vacated WHERE vacated.topic > known.topic ORDER BY vacated.topic LIMIT 1)
    FROM known
    WHERE known.topic IS NOT NULL
)
SELECT known.topic
FROM known
WHERE known.topic IS NOT NULL
    AND NOT EXISTS (SELECT FROM outtray.room WHERE room.topic = known.topic)
LIMIT $1::bigint
