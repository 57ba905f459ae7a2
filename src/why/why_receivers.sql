-- Returns the receivers of topic $1, the oldest first: what each is like, whether it shows life by
-- a lock, whether it was seen in the last $2 seconds, how long ago that was, and what its workers
-- handled then. Index: the primary key.
SELECT
    worker.id, worker.process, worker.host, worker.pid, worker.workers, worker.filter,
    worker.handlers::text AS handlers, worker.holds_lock,
    worker.seen_at >= now() - $2::bigint::float8 * interval '1 second' AS was_seen,
    (extract(epoch FROM
        clock_timestamp() - least(greatest(worker.seen_at, '0001-01-01 00:00:00+00'), clock_timestamp())
    ) * 1000000::numeric)::bigint AS seen_ago_us,
    (extract(epoch FROM least(greatest(worker.started_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS started_at_us
FROM outtray.worker
WHERE worker.topic = $1::text
ORDER BY worker.id
