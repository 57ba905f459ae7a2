-- Returns whether receiver $2 of topic $1 holds an advisory lock while it lives; no row if it is
-- gone. Index: the primary key.
SELECT worker.holds_lock
FROM outtray.worker
WHERE worker.topic = $1::text
    AND worker.id = $2::bigint
