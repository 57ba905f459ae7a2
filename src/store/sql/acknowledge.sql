-- Removes handled messages of topic $1 by their full keys: ranks $2, seqs $3. The caller holds their locks.
-- By the full key: `seq = ANY(…)` alone would walk the topic, ten times slower at a backlog of 10,000.
DELETE FROM outtray.message
USING unnest($2::smallint[], $3::bigint[]) AS handled (rank, seq)
WHERE message.topic = $1::text
    AND message.rank = handled.rank
    AND message.seq = handled.seq
