-- Returns who receives: each receiver with its topic, whether it shows life by a lock, and whether
-- it was seen in the last $1 seconds.
SELECT
    worker.topic, worker.id, worker.holds_lock,
    worker.seen_at >= now() - $1::bigint::float8 * '1 second'::interval AS was_seen
FROM outtray.worker
