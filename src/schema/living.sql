-- Returns the receivers that live, by what they say: a lock of namespace $1 and their id, mixed, or
-- that they were seen within $2 seconds. The locks it takes end with the transaction.
SELECT worker.topic, worker.process
FROM outtray.worker
WHERE NOT CASE
        WHEN worker.holds_lock THEN pg_try_advisory_xact_lock_shared($1::bigint # worker.id)
        ELSE worker.seen_at < now() - $2::bigint::float8 * interval '1 second'
    END
ORDER BY worker.topic, worker.id
