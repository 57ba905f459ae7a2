-- Makes those of the messages $4 of topic $1 ready now that wait for their time at these places
-- (ranks $2, seqs $3) and that nobody has in hand; returns their ids. Index: the primary key.
WITH free AS MATERIALIZED (
    SELECT found.topic, found.rank, found.seq
    FROM unnest($2::smallint[], $3::bigint[], $4::uuid[]) AS waiting (rank, seq, id)
    CROSS JOIN LATERAL (
        SELECT message.topic, message.rank, message.seq
        FROM outtray.message
        WHERE message.topic = $1::text
            AND message.rank = waiting.rank
            AND message.seq = waiting.seq
            AND message.id = waiting.id
        FOR UPDATE SKIP LOCKED
    ) AS found
    -- Always so, as in `bury`.
    WHERE waiting.seq BETWEEN -9223372036854775807 AND 9223372036854775807
)
UPDATE outtray.message
SET not_before = NULL
FROM free
-- By all of the key, as in `acknowledge`.
WHERE message.topic = ANY (ARRAY[free.topic])
    AND message.rank = free.rank
    AND message.seq = free.seq
RETURNING message.id
