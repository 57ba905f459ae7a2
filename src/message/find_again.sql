-- Returns where message $3 of topic $1 and rank $2 is by now: its seq, if it came back to the end
-- of the topic, among the last 10,000; no seq, if it waits for its next attempt. Both are seen at
-- one moment: looked at one after the other, a message that moves in between would be nowhere.
-- Index: the primary key, backwards; the primary key of `scheduled`.
SELECT last.seq
FROM (
    SELECT message.seq, message.id
    FROM outtray.message
    WHERE message.topic = $1::text
        AND message.rank = $2::smallint
    ORDER BY message.topic DESC, message.rank DESC, message.seq DESC
    LIMIT 10000
) AS last
WHERE last.id = $3::uuid
UNION ALL
SELECT NULL::bigint AS seq
FROM outtray.scheduled
WHERE scheduled.topic = $1::text
    AND scheduled.id = $3::uuid
    AND scheduled.receipt IS NULL
