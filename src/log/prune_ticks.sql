-- Removes up to $2 ticks of the log $1 that lie before the one before its first. Index: the primary
-- key, in which ticks have no gaps.
DELETE FROM outtray.log_tick
WHERE log_tick.topic = $1::text
    AND log_tick.tick < (SELECT log.begins - 1 FROM outtray.log WHERE log.topic = $1::text)
    AND log_tick.tick <= $2::bigint + (
        SELECT first.tick FROM outtray.log_tick AS first
        WHERE first.topic = $1::text
        ORDER BY first.topic, first.tick
        LIMIT 1
    )
