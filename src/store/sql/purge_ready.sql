-- Removes the ready messages of topic $1 for good, but for those in work.
WITH free AS MATERIALIZED (
    SELECT message.rank, message.seq
    FROM outtray.message
    WHERE message.topic = $1::text
    FOR UPDATE SKIP LOCKED
)
DELETE FROM outtray.message
USING free
WHERE message.topic = $1::text
    AND message.rank = free.rank
    AND message.seq = free.seq
