-- Returns up to $4 messages of topic $1 that wait for their time in their places among the ready
-- ones, by their keys from the first after (rank $2, seq $3) on. Index: the primary key.
SELECT message.rank, message.seq, message.id, message.attempts
FROM outtray.message
WHERE message.topic = $1::text
    AND (message.rank, message.seq) > ($2::smallint, $3::bigint)
    AND message.not_before > clock_timestamp()
ORDER BY message.rank, message.seq
LIMIT $4::bigint
