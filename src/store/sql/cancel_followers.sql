-- Removes those of the messages $1 that wait behind others of their key. Returns them, without the key: their line goes
-- on without them.
-- Index: follower_id, and then the full key.
WITH free AS MATERIALIZED (
    SELECT follower.topic, follower.key, follower.seq
    FROM outtray.follower
    WHERE follower.id = ANY ($1::uuid[])
    FOR UPDATE SKIP LOCKED
)
DELETE FROM outtray.follower
USING free
WHERE follower.topic = free.topic
    AND follower.key = free.key
    AND follower.seq = free.seq
RETURNING
    follower.topic, follower.id, follower.rank, follower.seq, NULL::text AS key, follower.on_end
