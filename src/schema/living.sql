-- Returns the receivers that may live: those with an advisory lock, which has to be tried, and
-- those without one that were seen within $1 seconds.
SELECT worker.topic, worker.process, worker.id, worker.holds_lock
FROM outtray.worker
WHERE worker.holds_lock
    OR worker.seen_at >= now() - $1::bigint::float8 * interval '1 second'
