-- Returns where lane $3 of reader $2 of the log $1 is, which moved $4 times at least, and who has
-- what comes next in hand. Index: the primary key, from its end. What is dead below $4 is not even
-- passed by, whichever way the index is read.
SELECT
    log_place.moved, log_place.tick, log_place.seq,
    log_place.holder, log_place.in_hand, log_place.is_alone, log_place.deaths
FROM outtray.log_place
WHERE log_place.topic = $1::text
    AND log_place.reader = $2::text
    AND log_place.lane = $3::bigint
    AND log_place.moved >= $4::bigint
ORDER BY log_place.moved DESC
LIMIT 1
