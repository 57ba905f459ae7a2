-- Returns the first of the ticks of the log $1 made at the time $2 or later, in microseconds since
-- 1970, or $3, the one after its last. Index: the primary keys. Halves what is left with each look:
-- ticks are made one after the other, and their numbers have no gaps.
WITH RECURSIVE search AS (
    SELECT
        log.begins AS low,
        $3::bigint AS high
    FROM outtray.log
    WHERE log.topic = $1::text
    UNION ALL
    SELECT
        CASE WHEN half.is_late THEN search.low ELSE (search.low + search.high) / 2 + 1 END,
        CASE WHEN half.is_late THEN (search.low + search.high) / 2 ELSE search.high END
    FROM search
    CROSS JOIN LATERAL (
        SELECT coalesce(
            (
                SELECT log_tick.at >= to_timestamp(0::double precision) + $2::bigint::float8 * interval '1 microsecond'
                FROM outtray.log_tick
                WHERE log_tick.topic = $1::text
                    AND log_tick.tick = (search.low + search.high) / 2
            ),
            true
        ) AS is_late
    ) AS half
    WHERE search.low < search.high
)
SELECT search.low AS tick
FROM search
WHERE search.low >= search.high
LIMIT 1
