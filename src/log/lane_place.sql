-- Returns the place of the lane $3 of the reader $2 of the log $1, which moved $4 times at least.
-- Index: the primary key, from its end. What is dead below $4 is not even passed by, whichever way
-- the index is read.
SELECT log_place.moved, log_place.tick, log_place.seq
FROM outtray.log_place
WHERE log_place.topic = $1::text
    AND log_place.reader = $2::text
    AND log_place.lane = $3::bigint
    AND log_place.moved >= $4::bigint
ORDER BY log_place.moved DESC
LIMIT 1
