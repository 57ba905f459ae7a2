-- Returns the transactions of others in this database that have been open for $1 milliseconds and
-- hold dead rows back, as far as this role sees them: the longest first, 50 at most. Vacuum holds
-- nothing back; standbys are looked at apart.
SELECT
    backend.pid AS process,
    coalesce(backend.usename::text, ''::text) AS role,
    coalesce(backend.application_name, ''::text) AS program,
    coalesce(backend.state, 'busy'::text) AS state,
    (extract(epoch FROM least(
        greatest(clock_timestamp() - backend.xact_start, '0 s'::interval), '10 years'::interval
    )) * 1000::numeric)::bigint AS open_ms
FROM pg_catalog.pg_stat_activity AS backend
WHERE backend.datname = current_database()
    AND backend.pid <> pg_backend_pid()
    AND (backend.backend_xmin IS NOT NULL OR backend.backend_xid IS NOT NULL)
    AND coalesce(backend.backend_type, ''::text) NOT IN ('walsender'::text, 'autovacuum worker'::text)
    AND backend.xact_start <= clock_timestamp() - $1::bigint::float8 * '1 ms'::interval
ORDER BY backend.xact_start
LIMIT 50
