-- Moves the lane $3 of the reader $2 of the log $1, which stands at its move $4, to the place $5,
-- $6. Fails if it does not stand there. Index: the primary key.
WITH left_behind AS (
    DELETE FROM outtray.log_place
    WHERE log_place.topic = $1::text
        AND log_place.reader = $2::text
        AND log_place.lane = $3::bigint
        AND log_place.moved = $4::bigint
    RETURNING moved
),
moved AS (
    INSERT INTO outtray.log_place (topic, reader, lane, moved, tick, seq)
    SELECT $1::text, $2::text, $3::bigint, left_behind.moved + 1, $5::bigint, $6::bigint
    FROM left_behind
    RETURNING moved
)
SELECT outtray.miscounted(counted.moved, 1)
FROM (SELECT count(moved.moved) AS moved FROM moved) AS counted
WHERE counted.moved <> 1
