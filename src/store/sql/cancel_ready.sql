-- Removes those of the messages $1 that are ready and that nobody has in hand. Returns them.
-- Index: message_tracked. Only if that does not have all of them, the table is read: the others are not indexed by id.
WITH tracked AS MATERIALIZED (
    SELECT message.topic, message.rank, message.seq
    FROM outtray.message
    WHERE message.id = ANY ($1::uuid[])
        AND message.on_end IS NOT NULL
    FOR UPDATE SKIP LOCKED
),
others AS MATERIALIZED (
    SELECT message.topic, message.rank, message.seq
    FROM outtray.message
    WHERE message.id = ANY ($1::uuid[])
        AND message.on_end IS NULL
        AND (SELECT count(*) FROM tracked) < cardinality($1::uuid[])
    FOR UPDATE SKIP LOCKED
),
free AS (
    SELECT tracked.topic, tracked.rank, tracked.seq FROM tracked
    UNION ALL SELECT others.topic, others.rank, others.seq FROM others
)
DELETE FROM outtray.message
USING free
WHERE message.topic = free.topic
    AND message.rank = free.rank
    AND message.seq = free.seq
RETURNING
    message.topic, message.id, message.rank, message.seq, message.key, message.on_end
