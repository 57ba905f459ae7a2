-- Returns what is known of entry $2 of the log $1, in segment $3 with number $4: the first tick
-- that sees it (NULL while none does), and the readers of the log, each with the place of the lane
-- that reads it. Index: log_entry_seq, and the primary keys. Halves what is left with each look, as
-- `place_at_time` does.
WITH RECURSIVE entry AS MATERIALIZED (
    SELECT
        log_entry.id, log_entry.tx, log_entry.seq, log_entry.key, log_entry.sent_at
    FROM outtray.log_entry
    WHERE log_entry.segment = $3::bigint
        AND log_entry.seq + 0 = $4::bigint
        AND log_entry.topic = $1::text
        AND log_entry.id = $2::uuid
),
newest AS MATERIALIZED (
    SELECT log.begins, last.tick
    FROM outtray.log
    CROSS JOIN LATERAL (
        SELECT log_tick.tick
        FROM outtray.log_tick
        WHERE log_tick.topic = $1::text
        ORDER BY log_tick.tick DESC
        LIMIT 1
    ) AS last
    WHERE log.topic = $1::text
),
search AS (
    SELECT newest.begins AS low, newest.tick + 1 AS high
    FROM newest
    UNION ALL
    SELECT
        CASE WHEN half.sees THEN search.low ELSE (search.low + search.high) / 2 + 1 END,
        CASE WHEN half.sees THEN (search.low + search.high) / 2 ELSE search.high END
    FROM search
    CROSS JOIN LATERAL (
        SELECT coalesce(
            (
                SELECT entry.seq <= log_tick.floor OR pg_visible_in_snapshot(entry.tx, log_tick.snapshot)
                FROM outtray.log_tick
                CROSS JOIN entry
                WHERE log_tick.topic = $1::text
                    AND log_tick.tick = (search.low + search.high) / 2
            ),
            false
        ) AS sees
    ) AS half
    WHERE search.low < search.high
),
found AS MATERIALIZED (
    SELECT nullif(search.low, newest.tick + 1) AS tick
    FROM search
    CROSS JOIN newest
    WHERE search.low >= search.high
    LIMIT 1
)
SELECT
    entry.key,
    (extract(epoch FROM least(greatest(entry.sent_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS sent_at_us,
    found.tick AS entry_tick, reader.reader, reader.tick, reader.seq
FROM entry
CROSS JOIN found
LEFT JOIN LATERAL (
    SELECT log_reader.reader, place.tick, place.seq
    FROM outtray.log_reader
    CROSS JOIN LATERAL (
        SELECT log_place.tick, log_place.seq
        FROM outtray.log_place
        WHERE log_place.topic = $1::text
            AND log_place.reader = log_reader.reader
            -- As `read_entries` tells which lane reads it.
            AND log_place.lane = (
                hashtextextended(coalesce(entry.key, entry.id::text), 0::bigint) & 9223372036854775807
            ) % log_reader.lanes
        ORDER BY log_place.moved DESC
        LIMIT 1
    ) AS place
    WHERE log_reader.topic = $1::text
) AS reader ON true
ORDER BY reader.reader
