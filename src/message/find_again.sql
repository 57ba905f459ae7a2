-- Returns the place of message $3 of topic $1 and rank $2, if it came back to the end: among the
-- last 10,000. Index: the primary key, backwards.
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
