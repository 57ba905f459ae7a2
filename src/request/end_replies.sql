-- Removes messages of topic $1 by their full keys (ranks $2, seqs $3), as far as they are there and
-- nobody else has them in hand: each is looked up behind a fence, and removed by its key. How many
-- does not matter. Their answers were given, and what stays is found again. Index: the primary key.
WITH held AS MATERIALIZED (
    SELECT found.topic, found.rank, found.seq
    FROM unnest($2::smallint[], $3::bigint[]) AS passed_on (rank, seq)
    CROSS JOIN LATERAL (
        SELECT message.topic, message.rank, message.seq
        FROM outtray.message
        WHERE message.topic = $1::text
            AND message.rank = passed_on.rank
            AND message.seq = passed_on.seq
        FOR UPDATE SKIP LOCKED
    ) AS found
)
DELETE FROM outtray.message
USING held
WHERE message.topic = ANY (ARRAY[held.topic])
    AND message.rank = held.rank
    AND message.seq = held.seq
