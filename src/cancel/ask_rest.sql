-- Notes that those of the messages $1 that wait, and that could not be removed since somebody has
-- their rows in hand for a moment, are to be given up: the upkeep removes them. Returns them.
-- Index: the primary key, which it skips through for the topics, and follower_tracked; of untracked
-- followers the table is read.
WITH RECURSIVE known AS (
    (SELECT scheduled.topic FROM outtray.scheduled ORDER BY scheduled.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT scheduled.topic FROM outtray.scheduled WHERE scheduled.topic > known.topic ORDER BY scheduled.topic LIMIT 1)
    FROM known
    WHERE known.topic IS NOT NULL
)
INSERT INTO outtray.cancellation (topic, id)
SELECT scheduled.topic, scheduled.id
FROM known
JOIN outtray.scheduled
    ON scheduled.topic = known.topic
    AND scheduled.id = ANY ($1::uuid[])
UNION
SELECT follower.topic, follower.id
FROM outtray.follower
WHERE follower.id = ANY ($1::uuid[])
ON CONFLICT (topic, id) DO UPDATE SET asked_at = excluded.asked_at
RETURNING cancellation.id
