-- Returns the segments of the logs $1 that are in use: how long ago each was opened, its size, and
-- of one that is closed, how long ago the last tick was made that may see entries of it. Index: the
-- primary keys. A log has few segments.
SELECT
    log.topic, log_segment.segment, log.begins, log_segment.last_tick,
    log_segment.segment = log.segment AS is_current,
    (extract(epoch FROM greatest(clock_timestamp() - log_segment.opened_at, interval '0')) * 1000::numeric)::bigint AS open_ms,
    pg_total_relation_size(to_regclass(format('outtray.%I', 'log_' || log_segment.segment::text))::oid::regclass) AS bytes,
    pg_relation_size(to_regclass(format('outtray.%I', 'log_' || log_segment.segment::text))::oid::regclass) > 0 AS has_entries,
    (
        SELECT (extract(epoch FROM greatest(clock_timestamp() - log_tick.at, interval '0')) * 1000::numeric)::bigint
        FROM outtray.log_tick
        WHERE log_tick.topic = log.topic
            AND log_tick.tick = log_segment.last_tick
    ) AS ticked_ms
FROM pg_catalog.unnest($1::text[]) AS mine (topic)
JOIN outtray.log ON log.topic = mine.topic
JOIN outtray.log_segment ON log_segment.topic = log.topic
WHERE log_segment.opened_at IS NOT NULL
ORDER BY log.topic, log_segment.last_tick NULLS LAST, log_segment.segment
