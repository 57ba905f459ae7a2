-- Returns what the server is, who is connected to what (both quoted), and whether schema $1 has the
-- tables of this library, which the role need not be allowed to read.
SELECT
    current_setting('server_version') AS version,
    current_setting('server_version_num')::integer AS version_number,
    quote_ident(session_user::text) AS role,
    quote_ident(current_database()::text) AS database,
    pg_is_in_recovery() AS is_standby,
    EXISTS (SELECT FROM pg_catalog.pg_extension WHERE pg_extension.extname = 'citus'::name) AS is_distributed,
    EXISTS (
        SELECT FROM pg_catalog.pg_class
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pg_class.relnamespace
        WHERE pg_namespace.nspname::text = $1::text
            AND pg_class.relname = 'message'::name
    ) AS has_tables
