-- Returns workers other than $1 that may be gone without signing off: those with an advisory lock,
-- which has to be tried, and those without one that were not seen for $2 seconds.
SELECT worker.topic, worker.id, worker.holds_lock
FROM outtray.worker
WHERE worker.id <> ALL ($1::bigint[])
    AND (worker.holds_lock OR worker.seen_at < now() - $2::bigint::float8 * interval '1 second')
