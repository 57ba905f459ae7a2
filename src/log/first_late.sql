-- Returns the least number after $4 of an entry of the log $1, in its segments $2, that one of the
-- transactions $3 wrote; NULL if there is none. Index: log_entry_tx, once for each transaction.
SELECT min(first.seq) AS seq
FROM pg_catalog.unnest($3::text[]) AS done (tx)
CROSS JOIN LATERAL (
    SELECT log_entry.seq
    FROM outtray.log_entry
    WHERE log_entry.segment = ANY ($2::bigint[])
        AND log_entry.tx = done.tx::xid8
        AND log_entry.seq > $4::bigint
        AND log_entry.topic = $1::text
    ORDER BY log_entry.tx, log_entry.seq
    LIMIT 1
) AS first
