-- Moves all lanes of the reader $2 of the log $1, which the caller locked, to the place $3, $4.
-- Index: the primary key.
WITH left_behind AS (
    DELETE FROM outtray.log_place
    WHERE log_place.topic = $1::text
        AND log_place.reader = $2::text
    RETURNING lane, moved
)
INSERT INTO outtray.log_place (topic, reader, lane, moved, tick, seq)
SELECT $1::text, $2::text, left_behind.lane, max(left_behind.moved) + 1, $3::bigint, $4::bigint
FROM left_behind
GROUP BY left_behind.lane
