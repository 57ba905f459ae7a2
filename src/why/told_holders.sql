-- Returns which of the transactions $1 are open, and which advisory locks with the keys $2 are
-- held, each with the session that has it: who it is, and what it does, as far as this role may
-- see. A prepared transaction has no session. Takes no lock.
SELECT
    held.transaction, held.key, held.pid AS server_process,
    nullif(backend.application_name, ''::text) AS program,
    backend.usename::text AS role, host(backend.client_addr) AS client, backend.state,
    CASE WHEN backend.xact_start IS NOT NULL THEN (extract(epoch FROM least(greatest(clock_timestamp() - backend.xact_start, '0 s'::interval), '1 year'::interval)) * 1000::numeric)::bigint END AS open_ms,
    CASE WHEN backend.state_change IS NOT NULL THEN (extract(epoch FROM least(greatest(clock_timestamp() - backend.state_change, '0 s'::interval), '1 year'::interval)) * 1000::numeric)::bigint END AS since_ms
FROM (
    SELECT locks.transactionid::text AS transaction, NULL::bigint AS key, locks.pid
    FROM pg_catalog.pg_locks AS locks
    WHERE locks.locktype = 'transactionid'::text
        -- Who waits for one has another mode.
        AND locks.mode = 'ExclusiveLock'::text
        AND locks.granted
        AND locks.transactionid::text = ANY ($1::text[])
    UNION ALL
    SELECT NULL::text AS transaction, (locks.classid::bigint << 32) | locks.objid::bigint AS key, locks.pid
    FROM pg_catalog.pg_locks AS locks
    JOIN pg_catalog.pg_database ON pg_database.oid = locks.database
    WHERE locks.locktype = 'advisory'::text
        AND locks.objsubid = 1::smallint
        AND locks.granted
        AND pg_database.datname = current_database()
        AND ((locks.classid::bigint << 32) | locks.objid::bigint) = ANY ($2::bigint[])
) AS held
LEFT JOIN pg_catalog.pg_stat_activity AS backend ON backend.pid = held.pid
