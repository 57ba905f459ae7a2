-- Returns what this role may not do in schema $1 that receiving and operating need: of the schema,
-- of each table but those that only migrations write and the segments of logs, of each sequence;
-- and where there are logs, of their sequences, and of the functions that change their segments,
-- whose rights are not everybody's.
WITH logs AS MATERIALIZED (
    SELECT EXISTS (
        SELECT FROM pg_catalog.pg_inherits
        JOIN pg_catalog.pg_class ON pg_class.oid = pg_inherits.inhparent
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pg_class.relnamespace
        WHERE pg_namespace.nspname::text = $1::text
            AND pg_class.relname = 'log_entry'::name
    ) AS are_there
)
SELECT 'schema' AS kind, 'USAGE on the schema' AS what
FROM pg_catalog.pg_namespace
WHERE pg_namespace.nspname::text = $1::text
    AND NOT has_schema_privilege(pg_namespace.oid, 'USAGE')
UNION ALL
SELECT 'table' AS kind, wanted.privilege || ' on ' || pg_class.relname::text AS what
FROM pg_catalog.pg_class
JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pg_class.relnamespace
CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE')) AS wanted (privilege)
WHERE pg_namespace.nspname::text = $1::text
    AND pg_class.relkind::text IN ('r', 'p')
    AND NOT pg_class.relispartition
    AND (wanted.privilege = 'SELECT' OR pg_class.relname::text NOT IN ('migration', 'function'))
    AND NOT has_table_privilege(pg_class.oid, wanted.privilege)
UNION ALL
SELECT 'sequence' AS kind, wanted.privilege || ' on ' || pg_class.relname::text AS what
FROM pg_catalog.pg_class
JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pg_class.relnamespace
CROSS JOIN (VALUES ('USAGE'), ('SELECT')) AS wanted (privilege)
WHERE pg_namespace.nspname::text = $1::text
    AND pg_class.relkind::text = 'S'
    AND (
        wanted.privilege = 'USAGE'
        OR pg_class.relname::text IN ('log_seq', 'log_segment_seq') AND (SELECT logs.are_there FROM logs)
    )
    AND NOT CASE
        WHEN pg_class.relkind::text = 'S' THEN has_sequence_privilege(pg_class.oid, wanted.privilege)
    END
UNION ALL
SELECT 'function' AS kind, 'EXECUTE on ' || pg_proc.proname::text AS what
FROM pg_catalog.pg_proc
JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pg_proc.pronamespace
WHERE pg_namespace.nspname::text = $1::text
    AND (SELECT logs.are_there FROM logs)
    AND pg_proc.proname::text IN ('log_open_segment', 'log_seal_segment', 'log_empty_segment', 'log_end')
    AND NOT has_function_privilege(pg_proc.oid, 'EXECUTE')
ORDER BY kind, what
