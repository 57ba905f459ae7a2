-- Removes the ready messages of topic $1 for good, but for those in work, and records that so those that are tracked
-- ended. Returns how many.
WITH free AS MATERIALIZED (
    SELECT message.rank, message.seq
    FROM outtray.message
    WHERE message.topic = $1::text
    FOR UPDATE SKIP LOCKED
),
gone AS (
    DELETE FROM outtray.message
    USING free
    WHERE message.topic = $1::text
        AND message.rank = free.rank
        AND message.seq = free.seq
    RETURNING message.topic, message.id, message.on_end
),
ended AS (
    UPDATE outtray.outcome
    SET state = 'purged',
        ended_at = now()
    FROM gone
    WHERE outcome.topic = gone.topic
        AND outcome.id = gone.id
        AND gone.on_end IS NOT NULL
)
SELECT count(*) AS messages FROM gone
