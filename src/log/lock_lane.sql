-- Locks the lane $3 of the reader $2 of the log $1, unless somebody else reads for it, which
-- returns no row. Index: the primary key. `lane_place` returns its place: a statement of its own,
-- since that may have moved while this one looked.
SELECT log_lane.lane
FROM outtray.log_lane
WHERE log_lane.topic = $1::text
    AND log_lane.reader = $2::text
    AND log_lane.lane = $3::bigint
FOR UPDATE SKIP LOCKED
