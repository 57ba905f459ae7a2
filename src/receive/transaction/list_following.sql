-- Lists the places of up to $4 messages of topic $1 that follow (rank $2, seq $3), in order, in
-- whatever hands. None while a key of the topic is stalled: the message that comes next may be in
-- the line of that key, as `claim_head` says. Index: the primary key, and that of stalled keys.
SELECT message.rank, message.seq
FROM outtray.message
WHERE message.topic = $1::text
    AND (message.rank, message.seq) > ($2::smallint, $3::bigint)
    AND NOT EXISTS (SELECT FROM outtray.stalled WHERE stalled.topic = $1::text)
ORDER BY message.rank, message.seq
LIMIT $4::bigint
