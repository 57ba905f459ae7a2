-- Returns the ticks of the log $1 from $2 up to $3, and with each where the log begins. Index: the
-- primary key, in which they have no gaps.
SELECT
    log_tick.tick, log_tick.snapshot::text, log_tick.tx::text, log_tick.low, log_tick.high, log_tick.floor,
    log_tick.segments,
    (extract(epoch FROM least(greatest(log_tick.at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS made_us,
    (SELECT log.begins FROM outtray.log WHERE log.topic = $1::text) AS begins
FROM outtray.log_tick
WHERE log_tick.topic = $1::text
    AND log_tick.tick >= $2::bigint
    AND log_tick.tick <= $3::bigint
ORDER BY log_tick.tick
