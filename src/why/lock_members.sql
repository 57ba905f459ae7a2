-- Returns who shares the locks $1: where several transactions lock a row, or one of them several
-- times, the row has the number of a list of them, which looks like that of a transaction. Numbers
-- that no list has are left out: asked for one, the server would fail. Takes no lock.
SELECT known.number::text AS holder, member.xid::text AS transaction
FROM (
    SELECT asked.number::xid AS number
    FROM pg_catalog.unnest($1::text[]) AS asked (number)
    CROSS JOIN (
        SELECT pg_database.datminmxid AS first
        FROM pg_catalog.pg_database
        WHERE pg_database.datname = current_database()
    ) AS mine
    WHERE mxid_age(asked.number::xid) BETWEEN 1 AND mxid_age(mine.first)
    OFFSET 0
) AS known
CROSS JOIN LATERAL pg_get_multixact_members(known.number) AS member (xid, mode)
