-- Returns the transactions of this database that were prepared $1 milliseconds ago or earlier, each
-- with its name as a literal: the oldest first, 50 at most. Without those of Citus, if that is
-- there ($2), which knows how they have to end.
SELECT
    quote_literal(prepared.gid) AS name,
    prepared.owner::text AS owner,
    (extract(epoch FROM least(
        greatest(clock_timestamp() - prepared.prepared, '0 s'::interval), '10 years'::interval
    )) * 1000::numeric)::bigint AS age_ms
FROM pg_catalog.pg_prepared_xacts AS prepared
WHERE prepared.database = current_database()
    AND prepared.prepared <= clock_timestamp() - $1::bigint::float8 * '1 ms'::interval
    AND NOT ($2::boolean AND starts_with(prepared.gid, 'citus_'))
ORDER BY prepared.prepared
LIMIT 50
