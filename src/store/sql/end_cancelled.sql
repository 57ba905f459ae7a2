-- Removes those of the messages of topic $1 (ranks $2, seqs $3) that somebody still asks to be given up; returns their ids. The
-- caller holds their locks. What a process remembers decides nothing: the request may be of a life that is over, from which the
-- message was redriven.
-- By look-ups behind a fence, as in `acknowledge`. Index: the primary keys.
DELETE FROM outtray.message
WHERE message.ctid = ANY (ARRAY(
    SELECT found.place
    FROM unnest($2::smallint[], $3::bigint[]) AS asked (rank, seq)
    CROSS JOIN LATERAL (
        SELECT message.ctid AS place
        FROM outtray.message
        WHERE message.topic = $1::text
            AND message.rank = asked.rank
            AND message.seq = asked.seq
            AND EXISTS (
                SELECT
                FROM outtray.cancellation
                WHERE cancellation.topic = $1::text
                    AND cancellation.id = message.id
            )
        OFFSET 0
    ) AS found
))
RETURNING message.id
