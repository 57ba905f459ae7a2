-- Ends the suspicion of topic $1 if nothing is left of what may have been in the hands of those
-- that died, and nobody has the topic's row in hand. Returns the topic if so. Index: the primary
-- key of `message`.
WITH over AS MATERIALIZED (
    SELECT topic.topic
    FROM outtray.topic
    WHERE topic.topic = $1::text
        AND topic.suspect_until IS NOT NULL
        AND topic.suspect_ranks IS NOT NULL
        AND NOT EXISTS (
            SELECT
            FROM unnest(topic.suspect_ranks, topic.suspect_seqs) AS reach (rank, seq)
            CROSS JOIN LATERAL (
                SELECT message.seq
                FROM outtray.message
                WHERE message.topic = $1::text
                    AND message.rank = reach.rank
                    AND message.seq <= reach.seq
                ORDER BY message.topic, message.rank, message.seq
                LIMIT 1
            ) AS first
        )
    FOR UPDATE SKIP LOCKED
)
UPDATE outtray.topic
SET suspect_until = NULL, suspect_ranks = NULL, suspect_seqs = NULL
FROM over
WHERE topic.topic = over.topic
    AND topic.topic = $1::text
RETURNING topic.topic
