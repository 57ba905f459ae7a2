-- Returns each limit of connections that holds for this role, and how many are in use: of the
-- server, without what it keeps for superusers; of the database; of the role. Superusers have no
-- limits but the server's.
SELECT
    'server' AS limited,
    current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
        - coalesce(current_setting('reserved_connections', true), '0')::bigint AS most,
    -- Workers of the server that are in a database count here, and hardly matter.
    (SELECT coalesce(sum(pg_stat_database.numbackends::bigint), 0::numeric)::bigint FROM pg_catalog.pg_stat_database) AS used
UNION ALL
SELECT
    'database' AS limited,
    pg_database.datconnlimit::bigint AS most,
    (
        SELECT coalesce(sum(pg_stat_database.numbackends::bigint), 0::numeric)::bigint
        FROM pg_catalog.pg_stat_database
        WHERE pg_stat_database.datname = current_database()
    ) AS used
FROM pg_catalog.pg_database
CROSS JOIN pg_catalog.pg_roles
WHERE pg_database.datname = current_database()
    AND pg_roles.rolname = session_user
    AND pg_database.datconnlimit >= 0
    AND NOT pg_roles.rolsuper
UNION ALL
SELECT
    'role' AS limited,
    pg_roles.rolconnlimit::bigint AS most,
    (SELECT count(*) FROM pg_catalog.pg_stat_activity AS backend WHERE backend.usesysid = pg_roles.oid) AS used
FROM pg_catalog.pg_roles
WHERE pg_roles.rolname = session_user
    AND pg_roles.rolconnlimit >= 0
    AND NOT pg_roles.rolsuper
