-- Returns the place of the lane $3 of the reader $2 of the log $1. Index: the primary key, from its
-- end.
SELECT log_place.moved, log_place.tick, log_place.seq
FROM outtray.log_place
WHERE log_place.topic = $1::text
    AND log_place.reader = $2::text
    AND log_place.lane = $3::bigint
ORDER BY log_place.moved DESC
LIMIT 1
