-- Returns the tables that Citus does not know: of those named in $1, or, where none is named, all
-- that no extension and no system brought along. Also the names that are no table.
SELECT format('%I.%I', pg_namespace.nspname, pg_class.relname) AS name, false AS is_missing
FROM pg_catalog.pg_class
JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pg_class.relnamespace
WHERE pg_class.relkind::text IN ('r', 'p')
    AND NOT pg_class.relispartition
    AND pg_class.relpersistence::text = 'p'
    AND pg_namespace.nspname::text NOT IN ('information_schema', 'citus', 'citus_internal', 'columnar', 'columnar_internal')
    AND NOT starts_with(pg_namespace.nspname::text, 'pg_')
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend
        WHERE pg_depend.classid = 'pg_catalog.pg_class'::regclass::oid
            AND pg_depend.objid = pg_class.oid
            AND pg_depend.deptype::text = 'e'
    )
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE pg_dist_partition.logicalrelid::oid = pg_class.oid)
    AND (
        cardinality($1::text[]) = 0
        OR pg_class.oid = ANY (ARRAY(SELECT to_regclass(named.name)::oid FROM unnest($1::text[]) AS named (name)))
    )
UNION ALL
SELECT named.name, true AS is_missing
FROM unnest($1::text[]) AS named (name)
WHERE to_regclass(named.name) IS NULL
ORDER BY name
