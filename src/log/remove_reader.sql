-- Removes the reader $2 of the log $1, whose lanes the caller locked. Index: the primary keys.
WITH places AS (
    DELETE FROM outtray.log_place
    WHERE log_place.topic = $1::text
        AND log_place.reader = $2::text
),
lanes AS (
    DELETE FROM outtray.log_lane
    WHERE log_lane.topic = $1::text
        AND log_lane.reader = $2::text
)
DELETE FROM outtray.log_reader
WHERE log_reader.topic = $1::text
    AND log_reader.reader = $2::text
