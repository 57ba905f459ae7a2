-- Returns the named reader of the log $1 that has read least, and the tick it is at. Index: the
-- primary keys; a reader has few lanes.
SELECT log_lane.reader, place.tick
FROM outtray.log_lane
CROSS JOIN LATERAL (
    SELECT log_place.tick
    FROM outtray.log_place
    WHERE log_place.topic = log_lane.topic
        AND log_place.reader = log_lane.reader
        AND log_place.lane = log_lane.lane
    ORDER BY log_place.moved DESC
    LIMIT 1
) AS place
WHERE log_lane.topic = $1::text
ORDER BY place.tick
LIMIT 1
