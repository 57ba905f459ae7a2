-- Locks one message of topic $1 by rank $2, seq $3 and id $4, if it is there: after whoever holds
-- it, for as long as lock_timeout allows.
SELECT message.attempts
FROM outtray.message
WHERE message.topic = $1::text
    AND message.rank = $2::smallint
    AND message.seq = $3::bigint
    AND message.id = $4::uuid
FOR UPDATE
