-- Returns up to $3 ticks of the log $1 from tick $2 on, and with each where the log begins. Index:
-- the primary keys.
SELECT
    log_tick.tick, log_tick.snapshot::text, log_tick.low, log_tick.high, log_tick.segments, log.begins
FROM outtray.log
JOIN outtray.log_tick ON log_tick.topic = log.topic
WHERE log.topic = $1::text
    AND log_tick.topic = $1::text
    AND log_tick.tick >= $2::bigint
ORDER BY log_tick.tick
LIMIT $3::bigint
