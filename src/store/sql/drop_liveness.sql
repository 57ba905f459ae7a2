-- Gives back the advisory lock (namespace $1, id $2) of a worker that signs off.
SELECT pg_advisory_unlock($1::integer, $2::bigint::integer)
