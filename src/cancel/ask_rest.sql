-- Notes that those of the messages $1 that wait, of topics $2 or behind others of their keys, and
-- that could not be removed since somebody has their rows in hand for a moment, are to be given up:
-- the upkeep removes them. Returns them. Index: the primary key, and follower_tracked; of untracked
-- followers the table is read.
INSERT INTO outtray.cancellation (topic, id)
SELECT scheduled.topic, scheduled.id
FROM pg_catalog.unnest($2::text[]) AS known (topic)
JOIN outtray.scheduled
    ON scheduled.topic = known.topic
    AND scheduled.id = ANY ($1::uuid[])
UNION
SELECT follower.topic, follower.id
FROM outtray.follower
WHERE follower.id = ANY ($1::uuid[])
ON CONFLICT (topic, id) DO UPDATE SET asked_at = excluded.asked_at
RETURNING cancellation.id
