-- Removes those of the messages $1 that are ready and that nobody has in hand. Returns them.
-- Index: message_id, and then the full key.
WITH free AS MATERIALIZED (
    SELECT message.topic, message.rank, message.seq
    FROM outtray.message
    WHERE message.id = ANY ($1::uuid[])
    FOR UPDATE SKIP LOCKED
)
DELETE FROM outtray.message
USING free
WHERE message.topic = free.topic
    AND message.rank = free.rank
    AND message.seq = free.seq
RETURNING
    message.topic, message.id, message.rank, message.seq, message.key, message.on_end
