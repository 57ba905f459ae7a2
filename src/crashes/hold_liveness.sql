-- Takes the advisory locks (namespace $1 and id, mixed) of workers $2 for as long as the session
-- lasts; returns the ids of those that it got. A former connection of this process may hold one
-- until the server notices that it is gone.
SELECT mine.id
FROM pg_catalog.unnest($2::bigint[]) AS mine (id)
WHERE pg_try_advisory_lock($1::bigint # mine.id)
