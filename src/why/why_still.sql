-- Returns the transaction that has message $4 of topic $1 (rank $2, seq $3) in hand, or had it
-- last; no row if the message is not there any more. Index: the primary key.
SELECT nullif(message.xmax::text, '0'::text) AS holder
FROM outtray.message
WHERE message.topic = $1::text
    AND message.rank = $2::smallint
    AND message.seq = $3::bigint
    AND message.id = $4::uuid
