-- Returns whether schema $1 is distributed as a whole, by Citus 12 or later.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_dist_schema
    JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pg_dist_schema.schemaid
    WHERE pg_namespace.nspname::text = $1::text
) AS is_distributed
