-- Returns all receivers, by topic: each with its process, what it is like, what its workers did
-- when it showed life last, how many microseconds ago that was, and whether its topic is paused.
SELECT
    worker.topic, worker.id, worker.process, worker.host, worker.pid, worker.program, worker.version,
    worker.workers, worker.busy, worker.in_hand, worker.lease_ms, worker.filter, worker.handlers::text AS handlers,
    (extract(epoch FROM
        least(greatest(worker.started_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')
    ) * 1000000::numeric)::bigint AS started_at_us,
    (extract(epoch FROM
        clock_timestamp() - least(greatest(worker.seen_at, '0001-01-01 00:00:00+00'), clock_timestamp())
    ) * 1000000::numeric)::bigint AS seen_ago_us,
    topic.paused_at IS NOT NULL AS is_paused
FROM outtray.worker
LEFT JOIN outtray.topic ON topic.topic = worker.topic
ORDER BY worker.topic, worker.id
