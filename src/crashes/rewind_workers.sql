-- Notes of workers that were seen over $1 seconds after now that they were seen now: the clock was
-- set back since. Those that live say so anyway, and those that died are found as late as ever. A
-- transaction of its own: rows in other hands are left to these.
WITH ahead AS MATERIALIZED (
    SELECT worker.topic, worker.id
    FROM outtray.worker
    WHERE worker.seen_at > now() + $1::bigint::float8 * interval '1 second'
    FOR UPDATE SKIP LOCKED
)
UPDATE outtray.worker
SET seen_at = now()
FROM ahead
WHERE worker.topic = ahead.topic
    AND worker.id = ahead.id
