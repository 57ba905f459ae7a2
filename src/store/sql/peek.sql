-- Returns the first $2 ready messages of topic $1 in claim order, also those in work; takes nothing.
-- Index: the primary key.
SELECT
    message.rank, message.seq, message.id, message.attempts,
    (extract(epoch FROM message.sent_at) * 1000000)::bigint AS sent_at_us,
    message.headers::text, message.payload::text, message.body
FROM outtray.message
WHERE message.topic = $1::text
ORDER BY message.rank, message.seq
LIMIT $2::bigint
