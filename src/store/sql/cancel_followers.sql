-- Removes those of the messages $1 that wait behind others of their key. Returns them, without the key: their line goes
-- on without them.
-- Index: follower_tracked. Only if that does not have all of them, the table is read: the others are not indexed by id.
-- It asks for a set of ids then: an array is searched from its beginning for each row, once a plan is kept.
WITH tracked AS MATERIALIZED (
    SELECT follower.topic, follower.key, follower.seq
    FROM outtray.follower
    WHERE follower.id = ANY ($1::uuid[])
        AND follower.on_end IS NOT NULL
    FOR UPDATE SKIP LOCKED
),
others AS MATERIALIZED (
    SELECT follower.topic, follower.key, follower.seq
    FROM outtray.follower
    WHERE follower.id IN (SELECT unnest($1::uuid[]))
        AND follower.on_end IS NULL
        AND (SELECT count(*) FROM tracked) < cardinality($1::uuid[])
    FOR UPDATE SKIP LOCKED
),
free AS (
    SELECT tracked.topic, tracked.key, tracked.seq FROM tracked
    UNION ALL SELECT others.topic, others.key, others.seq FROM others
)
DELETE FROM outtray.follower
USING free
WHERE follower.topic = free.topic
    AND follower.key = free.key
    AND follower.seq = free.seq
RETURNING
    follower.topic, follower.id, follower.rank, follower.seq, NULL::text AS key, follower.on_end
