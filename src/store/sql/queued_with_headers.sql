-- Returns up to $4 messages of topic $1 that wait in any way and whose headers have all of the names $2 with the values
-- $3; also those in work. A header that is missing matches nothing.
-- Walks the topic: headers have no index.
SELECT waiting.id
FROM (
    SELECT message.id, message.headers FROM outtray.message WHERE message.topic = $1::text AND message.headers IS NOT NULL
    UNION ALL
    SELECT scheduled.id, scheduled.headers FROM outtray.scheduled
    WHERE scheduled.topic = $1::text AND scheduled.headers IS NOT NULL
    UNION ALL
    SELECT follower.id, follower.headers FROM outtray.follower WHERE follower.topic = $1::text AND follower.headers IS NOT NULL
) AS waiting
WHERE NOT EXISTS (
    SELECT
    FROM unnest($2::text[], $3::text[]) AS wanted (name, value)
    WHERE (waiting.headers ->> wanted.name) IS DISTINCT FROM wanted.value
)
    AND waiting.id > $5::uuid
ORDER BY waiting.id
LIMIT $4::bigint
