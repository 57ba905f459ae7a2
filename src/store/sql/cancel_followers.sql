-- Removes those of the messages $1 that wait behind others of their key, but for those whose lanes others hold. Returns
-- them.
-- Index: follower_tracked. Only if that does not have all of them, the table is read: the others are not indexed by id.
WITH tracked AS MATERIALIZED (
    SELECT follower.topic, follower.key, follower.seq
    FROM outtray.follower
    WHERE follower.id = ANY ($1::uuid[])
        AND follower.on_end IS NOT NULL
),
others AS MATERIALIZED (
    SELECT follower.topic, follower.key, follower.seq
    FROM outtray.follower
    WHERE follower.id = ANY ($1::uuid[])
        AND follower.on_end IS NULL
        AND (SELECT count(*) FROM tracked) < cardinality($1::uuid[])
),
found AS MATERIALIZED (
    SELECT tracked.topic, tracked.key, tracked.seq FROM tracked
    UNION ALL SELECT others.topic, others.key, others.seq FROM others
),
held AS MATERIALIZED (
    -- Who ends the one before it takes the next one of the line for the end of its transaction. It would wait for this
    -- one, find nothing in that place, and nobody would look again.
    SELECT lane.topic, lane.key
    FROM outtray.lane
    WHERE (lane.topic, lane.key) IN (SELECT found.topic, found.key FROM found)
    FOR UPDATE SKIP LOCKED
)
DELETE FROM outtray.follower
USING found, held
WHERE follower.topic = found.topic
    AND follower.key = found.key
    AND follower.seq = found.seq
    AND held.topic = found.topic
    AND held.key = found.key
RETURNING
    follower.topic, follower.id, follower.rank, follower.seq, follower.key, follower.on_end
