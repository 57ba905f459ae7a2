-- Returns workers other than $2 that are gone without signing off: those whose advisory lock
-- (namespace $1 and id, mixed) is free, and those without one that were not seen for $3 seconds.
-- The locks it takes end with the statement. They are shared: two processes that start at the same
-- time must both find the one that died before them.
SELECT worker.topic, worker.id
FROM outtray.worker
WHERE worker.id <> ALL ($2::bigint[])
    AND CASE
        WHEN worker.holds_lock THEN pg_try_advisory_xact_lock_shared($1::bigint # worker.id)
        ELSE worker.seen_at < now() - $3::bigint::float8 * interval '1 second'
    END
