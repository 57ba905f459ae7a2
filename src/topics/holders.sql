-- Returns which of the transactions $1 are open, each with the server process that it belongs to
-- and the name that its program gave itself (each NULL for one that is prepared, or that the role
-- may not see). Takes no lock.
SELECT held.transactionid::text AS holder, held.pid AS server_process, nullif(backend.application_name, ''::text) AS program
FROM pg_catalog.pg_locks AS held
LEFT JOIN pg_catalog.pg_stat_activity AS backend ON backend.pid = held.pid
WHERE held.locktype = 'transactionid'::text
    -- Who waits for one has another mode.
    AND held.mode = 'ExclusiveLock'::text
    AND held.granted
    AND held.transactionid::text = ANY ($1::text[])
