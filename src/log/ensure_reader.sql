-- Makes the reader $2 of the log $1 with $3 lanes at the place $4, $5, unless there is one of this
-- name. Returns how many lanes it has; no row while another transaction makes it. Index: the
-- primary keys.
WITH made AS (
    INSERT INTO outtray.log_reader (topic, reader, lanes)
    VALUES ($1::text, $2::text, $3::bigint)
    ON CONFLICT (topic, reader) DO NOTHING
    RETURNING lanes
),
lanes AS (
    INSERT INTO outtray.log_lane (topic, reader, lane)
    SELECT $1::text, $2::text, lane.lane
    FROM made
    CROSS JOIN generate_series(0::bigint, made.lanes - 1) AS lane (lane)
),
places AS (
    INSERT INTO outtray.log_place (topic, reader, lane, moved, tick, seq)
    SELECT $1::text, $2::text, lane.lane, 1, $4::bigint, $5::bigint
    FROM made
    CROSS JOIN generate_series(0::bigint, made.lanes - 1) AS lane (lane)
)
SELECT made.lanes FROM made
UNION ALL
SELECT log_reader.lanes
FROM outtray.log_reader
WHERE log_reader.topic = $1::text
    AND log_reader.reader = $2::text
