-- Returns every topic that has dead letters.
-- Index: the primary key, which it skips through: one probe for each topic.
WITH RECURSIVE dead AS (
    (SELECT dead_letter.topic FROM outtray.dead_letter ORDER BY dead_letter.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT dead_letter.topic FROM outtray.dead_letter WHERE dead_letter.topic > dead.topic ORDER BY dead_letter.topic LIMIT 1)
    FROM dead
    WHERE dead.topic IS NOT NULL
)
SELECT dead.topic
FROM dead
WHERE dead.topic IS NOT NULL
