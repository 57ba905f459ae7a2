-- Returns those of receivers $2 whose advisory locks (namespace $1 and id, mixed) are free: they
-- are gone, or on their way. Reads no table: where tables are distributed, a lock that is tried
-- beside a row is tried on the node of the row, where all are free. The locks it takes end with the
-- transaction. They are shared: two processes that start at the same time must both find the one
-- that died before them.
SELECT holder.id
FROM pg_catalog.unnest($2::bigint[]) AS holder (id)
WHERE pg_try_advisory_xact_lock_shared($1::bigint # holder.id)
