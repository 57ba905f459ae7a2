-- Returns the standbys that have needed rows that are dead for $1 transactions, as far as this role
-- sees them.
SELECT
    coalesce(standby.application_name, ''::text) AS program,
    age(standby.backend_xmin)::bigint AS xmin_age
FROM pg_catalog.pg_stat_replication AS standby
WHERE age(standby.backend_xmin)::bigint > $1::bigint
ORDER BY xmin_age DESC
LIMIT 50
