-- Removes the messages of topic $1 for good that are ready, scheduled, or behind others of their key, but for those in
-- work. Returns how many, and those whose end matters to others.
WITH free AS MATERIALIZED (
    SELECT message.rank, message.seq
    FROM outtray.message
    WHERE message.topic = $1::text
    FOR UPDATE SKIP LOCKED
),
ready AS (
    DELETE FROM outtray.message
    USING free
    WHERE message.topic = $1::text
        AND message.rank = free.rank
        AND message.seq = free.seq
    RETURNING message.id, message.on_end
),
waiting AS (
    DELETE FROM outtray.scheduled
    WHERE scheduled.topic = $1::text
        -- A lease is work.
        AND scheduled.receipt IS NULL
    RETURNING scheduled.topic, scheduled.id, scheduled.on_end
),
cleared AS (
    -- What they waited for.
    DELETE FROM outtray.dependency
    USING waiting
    WHERE dependency.topic = waiting.topic
        AND dependency.id = waiting.id
),
behind AS (
    DELETE FROM outtray.follower
    WHERE follower.topic = $1::text
    RETURNING follower.id, follower.on_end
),
taken AS (
    SELECT ready.id, ready.on_end FROM ready
    UNION ALL SELECT waiting.id, waiting.on_end FROM waiting
    UNION ALL SELECT behind.id, behind.on_end FROM behind
)
SELECT NULL AS id, NULL AS on_end, count(*) AS messages
FROM taken
UNION ALL
SELECT taken.id, taken.on_end, 0 AS messages
FROM taken
WHERE taken.on_end IS NOT NULL
