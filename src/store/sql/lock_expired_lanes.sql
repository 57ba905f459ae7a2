-- Locks the lanes of up to $1 messages behind others of their key whose time is over; returns them. Lanes that others
-- hold are passed over.
-- Index: follower_expiry, and the primary key of the lanes.
WITH over AS MATERIALIZED (
    SELECT follower.topic, follower.key
    FROM outtray.follower
    WHERE follower.expires_at <= (SELECT clock_timestamp())
    ORDER BY follower.expires_at
    LIMIT $1::bigint
),
free AS MATERIALIZED (
    SELECT lane.topic, lane.key
    FROM outtray.lane
    WHERE (lane.topic, lane.key) IN (SELECT over.topic, over.key FROM over)
    FOR UPDATE SKIP LOCKED
)
UPDATE outtray.lane
SET turns = lane.turns + 1
FROM free
WHERE lane.topic = free.topic
    AND lane.key = free.key
RETURNING lane.topic, lane.key
