-- Returns logs with named readers whose last tick does not see all that was committed, each with
-- how many milliseconds ago that was made. Somebody who reads makes one within seconds.
SELECT
    log.topic,
    (extract(epoch FROM
        clock_timestamp() - least(greatest(newest.at, '0001-01-01 00:00:00+00'), clock_timestamp())
    ) * 1000::numeric)::bigint AS since_ms
FROM outtray.log
CROSS JOIN LATERAL (
    SELECT log_tick.at
    FROM outtray.log_tick
    WHERE log_tick.topic = log.topic
    ORDER BY log_tick.tick DESC
    LIMIT 1
) AS newest
WHERE EXISTS (SELECT FROM outtray.log_reader WHERE log_reader.topic = log.topic)
    AND outtray.log_has_news(log.topic)
