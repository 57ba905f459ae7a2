-- Locks messages of topic $1 by their full keys (ranks $2, seqs $3), if they are what they were
-- (ids $4, attempts $5) and nobody else holds them. Index: the primary key, into which each is
-- looked up behind a fence.
SELECT held.rank, held.seq
FROM unnest($2::smallint[], $3::bigint[], $4::uuid[], $5::bigint[]) AS wanted (rank, seq, id, attempts)
CROSS JOIN LATERAL (
    SELECT message.rank, message.seq
    FROM outtray.message
    WHERE message.topic = $1::text
        AND message.rank = wanted.rank
        AND message.seq = wanted.seq
        AND message.id = wanted.id
        AND message.attempts::bigint = wanted.attempts
    OFFSET 0
    FOR UPDATE SKIP LOCKED
) AS held
