-- Takes the advisory locks (namespace $1, id) of workers $2 for as long as the session lasts.
SELECT pg_try_advisory_lock($1::integer, mine.id::integer)
FROM unnest($2::bigint[]) AS mine (id)
