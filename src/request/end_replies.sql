-- Removes messages of topic $1 by their full keys (ranks $2, seqs $3) and ids $4, as far as they
-- are there and nobody else has them in hand: each is looked up behind a fence, and removed by its
-- key. How many does not matter. Their answers were given, and what stays is found again. After a
-- crash or a failover that forgot some, another message may have the place of one: the id tells.
-- Index: the primary key.
WITH held AS MATERIALIZED (
    SELECT found.topic, found.rank, found.seq
    FROM unnest($2::smallint[], $3::bigint[], $4::uuid[]) AS passed_on (rank, seq, id)
    CROSS JOIN LATERAL (
        SELECT message.topic, message.rank, message.seq
        FROM outtray.message
        WHERE message.topic = $1::text
            AND message.rank = passed_on.rank
            AND message.seq = passed_on.seq
            AND message.id = passed_on.id
        FOR UPDATE SKIP LOCKED
    ) AS found
)
DELETE FROM outtray.message
USING held
WHERE message.topic = ANY (ARRAY[held.topic])
    AND message.rank = held.rank
    AND message.seq = held.seq
