-- Removes messages of topic $1 by their full keys (ranks $2, seqs $3), as far as they are there and
-- nobody else has them in hand: each is looked up behind a fence, as in `acknowledge`. How many
-- does not matter. Their answers were given, and what stays is found again. Index: the primary key.
DELETE FROM outtray.message
WHERE message.ctid = ANY (ARRAY(
    SELECT found.place
    FROM unnest($2::smallint[], $3::bigint[]) AS passed_on (rank, seq)
    CROSS JOIN LATERAL (
        SELECT message.ctid AS place
        FROM outtray.message
        WHERE message.topic = $1::text
            AND message.rank = passed_on.rank
            AND message.seq = passed_on.seq
        FOR UPDATE SKIP LOCKED
    ) AS found
))
