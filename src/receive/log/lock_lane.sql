-- Locks lane $3 of reader $2 of the log $1 until the transaction ends; no row if somebody else has
-- it, or there is no such reader. Index: the primary key.
SELECT log_lane.lane
FROM outtray.log_lane
WHERE log_lane.topic = $1::text
    AND log_lane.reader = $2::text
    AND log_lane.lane = $3::bigint
FOR UPDATE SKIP LOCKED
