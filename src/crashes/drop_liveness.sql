-- Gives back the advisory lock (namespace $1 and id $2, mixed) of a worker that signs off.
SELECT pg_advisory_unlock($1::bigint # $2::bigint)
