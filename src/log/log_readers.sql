-- Returns the named readers of the log $1 by their names, each with the place of the lane that has
-- read least, how many numbers there are behind it, and how long ago the first of what it has not
-- read was committed, as far as ticks tell. The rest is the same for all: where entries may be that
-- no tick sees yet. Those have numbers after `high`, or are of the transactions `late`, which were
-- at work at the last tick and have ended, with numbers after `floor`. Index: the primary keys.
WITH newest AS MATERIALIZED (
    SELECT
        last.tick, last.high, last.floor,
        ARRAY(
            SELECT running.tx::text
            FROM (
                SELECT known.tx FROM pg_snapshot_xip(last.snapshot) AS known (tx)
                UNION ALL
                SELECT unknown.tx::text::xid8
                FROM generate_series(
                    pg_snapshot_xmax(last.snapshot)::text::numeric, last.tx::text::numeric - 1::numeric
                ) AS unknown (tx)
            ) AS running
            WHERE pg_visible_in_snapshot(running.tx, pg_current_snapshot())
        ) AS late,
        ARRAY(
            SELECT log_segment.segment
            FROM outtray.log_segment
            WHERE log_segment.topic = $1::text
                AND log_segment.opened_at IS NOT NULL
                AND (log_segment.last_tick IS NULL OR log_segment.last_tick > last.tick)
        ) AS segments
    FROM (
        SELECT log_tick.tick, log_tick.high, log_tick.floor, log_tick.snapshot, log_tick.tx
        FROM outtray.log_tick
        WHERE log_tick.topic = $1::text
        ORDER BY log_tick.tick DESC
        LIMIT 1
    ) AS last
)
SELECT
    log_reader.reader, log_reader.lanes, place.tick, place.seq, coalesce(left_over.lag, 0) AS lag,
    CASE
        WHEN left_over.lag > 0
        THEN (extract(epoch FROM greatest(clock_timestamp() - first.at, interval '0')) * 1000::numeric)::bigint
    END AS behind_ms,
    newest.high, newest.floor, newest.late, newest.segments
FROM outtray.log_reader
CROSS JOIN newest
CROSS JOIN LATERAL (
    SELECT one.tick, one.seq
    FROM outtray.log_lane
    CROSS JOIN LATERAL (
        SELECT log_place.tick, log_place.seq
        FROM outtray.log_place
        WHERE log_place.topic = log_lane.topic
            AND log_place.reader = log_lane.reader
            AND log_place.lane = log_lane.lane
        ORDER BY log_place.moved DESC
        LIMIT 1
    ) AS one
    WHERE log_lane.topic = log_reader.topic
        AND log_lane.reader = log_reader.reader
    ORDER BY one.tick, one.seq
    LIMIT 1
) AS place
LEFT JOIN outtray.log_tick AS first ON first.topic = $1::text AND first.tick = place.tick
LEFT JOIN outtray.log_tick AS before ON before.topic = $1::text AND before.tick = place.tick - 1
CROSS JOIN LATERAL (
    SELECT newest.high - greatest(place.seq, before.high) AS lag
    WHERE place.tick <= newest.tick
        AND newest.high > greatest(place.seq, before.high)
    UNION ALL
    SELECT NULL
    LIMIT 1
) AS left_over
WHERE log_reader.topic = $1::text
ORDER BY log_reader.reader
