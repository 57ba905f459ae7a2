-- Locks all lanes of the reader $2 of the log $1, waiting for those who read for them; returns how
-- many there are. Index: the primary key.
SELECT count(held.lane) AS lanes
FROM (
    SELECT log_lane.lane
    FROM outtray.log_lane
    WHERE log_lane.topic = $1::text
        AND log_lane.reader = $2::text
    ORDER BY log_lane.topic, log_lane.reader, log_lane.lane
    FOR UPDATE
) AS held
