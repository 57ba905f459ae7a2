-- Returns the messages of topic $1 that wait in any way and whose headers a filter wants (steps $2,
-- names $3, operands $4 for `outtray.matches`); also those in work. Walks the topic, once: headers
-- have no index, so a page of them would cost as much as all.
SELECT waiting.id
FROM (
    SELECT message.id, message.headers FROM outtray.message WHERE message.topic = $1::text
    UNION ALL
    SELECT scheduled.id, scheduled.headers FROM outtray.scheduled WHERE scheduled.topic = $1::text
    UNION ALL
    SELECT follower.id, follower.headers FROM outtray.follower WHERE follower.topic = $1::text
) AS waiting
WHERE outtray.matches(waiting.headers, $2::text[], $3::text[], (SELECT $4::text[]::jsonb[]))
