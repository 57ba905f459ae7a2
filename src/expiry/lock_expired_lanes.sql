-- Locks the lanes of up to $1 messages behind others of their key whose time is over; returns them.
-- Lanes that others hold are passed over and do not count: any number may wait behind them. Index:
-- follower_expiry, and the primary key of the lanes.
WITH free AS MATERIALIZED (
    SELECT lane.topic, lane.key
    FROM (
        SELECT follower.topic, follower.key
        FROM outtray.follower
        WHERE follower.expires_at <= (SELECT clock_timestamp())
        ORDER BY follower.expires_at
        OFFSET 0
    ) AS over
    CROSS JOIN LATERAL (
        SELECT lane.topic, lane.key
        FROM outtray.lane
        WHERE lane.topic = over.topic
            AND lane.key = over.key
        FOR UPDATE SKIP LOCKED
    ) AS lane
    LIMIT $1::bigint
)
UPDATE outtray.lane
SET turns = lane.turns + 1
FROM (SELECT DISTINCT free.topic, free.key FROM free) AS named
WHERE lane.topic = ANY (ARRAY[named.topic])
    AND lane.key = named.key
RETURNING lane.topic, lane.key
