-- Returns the value of setting $1, in its base unit, that a new session of this role has in this
-- database, where it comes from, and whether a change needs a restart. `reset_val` is not what the
-- session itself set. No row where this version has no such setting.
SELECT
    known.reset_val AS value,
    CASE
        WHEN known.source IN ('client'::text, 'command line'::text, 'environment variable'::text) THEN known.source
        ELSE coalesce((
            SELECT CASE
                WHEN own.setdatabase <> 0::oid AND own.setrole <> 0::oid THEN 'role in database'
                WHEN own.setrole <> 0::oid THEN 'role'
                WHEN own.setdatabase <> 0::oid THEN 'database'
                ELSE 'all roles'
            END
            FROM pg_catalog.pg_db_role_setting AS own
            CROSS JOIN LATERAL pg_catalog.unnest(own.setconfig) AS item (text)
            WHERE own.setdatabase IN (0::oid, (SELECT pg_database.oid FROM pg_catalog.pg_database WHERE pg_database.datname = current_database()))
                AND own.setrole IN (0::oid, (SELECT pg_roles.oid FROM pg_catalog.pg_roles WHERE pg_roles.rolname = session_user))
                AND split_part(item.text, '=', 1) = known.name
            ORDER BY own.setrole <> 0::oid DESC, own.setdatabase <> 0::oid DESC
            LIMIT 1
        ), 'server')
    END AS origin,
    known.context = 'postmaster'::text AS needs_restart
FROM pg_catalog.pg_settings AS known
WHERE known.name = $1::text
