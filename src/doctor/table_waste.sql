-- Returns the tables of schema $1, each with its dead and its live rows as vacuum counts them, its
-- size without indexes and what is stored apart, and whether autovacuum is off for it.
SELECT
    pg_class.relname::text AS name,
    coalesce(counted.n_dead_tup, 0::bigint) AS dead,
    coalesce(counted.n_live_tup, 0::bigint) AS live,
    coalesce(pg_relation_size(pg_class.oid), 0::bigint) AS bytes,
    coalesce((
        SELECT bool_or(CASE
            WHEN starts_with(option.text, 'autovacuum_enabled=') THEN NOT split_part(option.text, '=', 2)::boolean
        END)
        FROM pg_catalog.unnest(pg_class.reloptions) AS option (text)
    ), false) AS is_left
FROM pg_catalog.pg_class
JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pg_class.relnamespace
LEFT JOIN pg_catalog.pg_stat_all_tables AS counted ON counted.relid = pg_class.oid
WHERE pg_namespace.nspname::text = $1::text
    AND pg_class.relkind::text = 'r'
ORDER BY pg_class.relname
