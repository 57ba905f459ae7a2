-- Returns whether receiver $2 of topic $1 is gone: it has no row any more, or its advisory lock
-- (namespace $3 and id, mixed) is free. Of one that holds none nobody knows in time; it counts as
-- gone. Index: the primary key.
SELECT coalesce((
    SELECT NOT worker.holds_lock OR pg_try_advisory_xact_lock_shared($3::bigint # worker.id)
    FROM outtray.worker
    WHERE worker.topic = $1::text
        AND worker.id = $2::bigint
), true) AS is_dead
