-- Removes up to $1 notes of room in topics that nobody counts.
-- Index: the primary keys, which it skips through for the topics.
WITH RECURSIVE known AS (
    (SELECT vacated.topic FROM outtray.vacated ORDER BY vacated.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT vacated.topic FROM outtray.vacated WHERE vacated.topic > known.topic ORDER BY vacated.topic LIMIT 1)
    FROM known
    WHERE known.topic IS NOT NULL
),
lost AS MATERIALIZED (
    SELECT vacated.ctid AS place
    FROM known
    JOIN outtray.vacated ON vacated.topic = known.topic
    WHERE NOT EXISTS (SELECT FROM outtray.room WHERE room.topic = known.topic)
    LIMIT $1::bigint
    FOR UPDATE OF vacated SKIP LOCKED
)
DELETE FROM outtray.vacated
WHERE vacated.ctid = ANY (ARRAY(SELECT lost.place FROM lost))
