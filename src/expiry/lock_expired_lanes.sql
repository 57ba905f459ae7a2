-- Locks the lanes of up to $1 messages behind others of their key whose time is over; returns them.
-- Lanes that others hold are passed over. Index: follower_expiry, and the primary key of the lanes.
WITH over AS MATERIALIZED (
    SELECT follower.topic, follower.key
    FROM outtray.follower
    WHERE follower.expires_at <= (SELECT clock_timestamp())
    ORDER BY follower.expires_at
    LIMIT $1::bigint
),
free AS MATERIALIZED (
    SELECT lane.topic, lane.key
    FROM (SELECT DISTINCT over.topic, over.key FROM over) AS named
    CROSS JOIN LATERAL (
        SELECT lane.topic, lane.key
        FROM outtray.lane
        WHERE lane.topic = named.topic
            AND lane.key = named.key
        FOR UPDATE SKIP LOCKED
    ) AS lane
)
UPDATE outtray.lane
SET turns = lane.turns + 1
FROM free
WHERE lane.topic = ANY (ARRAY[free.topic])
    AND lane.key = free.key
RETURNING lane.topic, lane.key
