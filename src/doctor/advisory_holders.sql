-- Returns the keys of the advisory locks that are held in this database, as one number each.
SELECT DISTINCT (held.classid::bigint << 32) | held.objid::bigint AS key
FROM pg_catalog.pg_locks AS held
JOIN pg_catalog.pg_database ON pg_database.oid = held.database
WHERE held.locktype = 'advisory'::text
    AND held.objsubid = 1::smallint
    AND held.granted
    AND pg_database.datname = current_database()
