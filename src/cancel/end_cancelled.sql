-- Removes those of the messages of topic $1 (ranks $2, seqs $3) that somebody still asks to be
-- given up; returns their ids. The caller holds their locks. What a process remembers decides
-- nothing: the request may be of a life that is over, from which the message was redriven. One that
-- is asked for and is not there to be removed fails the transaction, as in `acknowledge`: it would
-- pass for one that nobody asks for any more, and be handled. By look-ups behind a fence, as there.
-- Index: the primary keys.
WITH wanted AS MATERIALIZED (
    SELECT found.topic, found.rank, found.seq
    FROM unnest($2::smallint[], $3::bigint[]) AS asked (rank, seq)
    CROSS JOIN LATERAL (
        SELECT message.topic, message.rank, message.seq
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
),
removed AS (
    DELETE FROM outtray.message
    USING wanted
    WHERE message.topic = ANY (ARRAY[wanted.topic])
        AND message.rank = wanted.rank
        AND message.seq = wanted.seq
    RETURNING message.id
),
counted AS (
    SELECT
        (SELECT count(*) FROM removed) AS removed,
        (SELECT count(*) FROM wanted) AS wanted
)
SELECT removed.id
FROM removed
UNION ALL
SELECT NULL
FROM counted
WHERE CASE
    WHEN counted.removed <> counted.wanted THEN outtray.miscounted(counted.removed, counted.wanted)
    ELSE false
END
