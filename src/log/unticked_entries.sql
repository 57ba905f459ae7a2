-- Returns how many numbers of the log $1, in its segments $2, there are that no tick sees yet, and
-- how long ago the first of them was sent; NULL if there are none. They are after $3, or were
-- written by one of the transactions $4 after $5: of those the first stands for all. Index:
-- log_entry_seq, from both its ends, and log_entry_tx, each once for each segment.
SELECT
    looked.lag,
    CASE
        WHEN looked.first_at IS NOT NULL
        THEN (extract(epoch FROM
            clock_timestamp() - least(greatest(looked.first_at, '0001-01-01 00:00:00+00'), clock_timestamp())
        ) * 1000::numeric)::bigint
    END AS sent_ms
FROM (
    SELECT
        (
            SELECT log_entry.seq
            FROM outtray.log_entry
            WHERE log_entry.segment = ANY ($2::bigint[])
                AND log_entry.topic = $1::text
                AND (log_entry.seq + 0) > $3::bigint
            ORDER BY log_entry.seq + 0 DESC
            LIMIT 1
        ) AS newest,
        (
            SELECT log_entry.sent_at
            FROM outtray.log_entry
            WHERE log_entry.segment = ANY ($2::bigint[])
                AND log_entry.topic = $1::text
                AND (log_entry.seq + 0) > $3::bigint
            ORDER BY log_entry.seq + 0
            LIMIT 1
        ) AS sent_at,
        (
            SELECT first.sent_at
            FROM pg_catalog.unnest($4::text[]) AS late (tx)
            CROSS JOIN LATERAL (
                SELECT log_entry.sent_at
                FROM outtray.log_entry
                WHERE log_entry.segment = ANY ($2::bigint[])
                    AND log_entry.tx = late.tx::xid8
                    AND log_entry.seq > $5::bigint
                    AND log_entry.topic = $1::text
                ORDER BY log_entry.tx, log_entry.seq
                LIMIT 1
            ) AS first
            ORDER BY first.sent_at
            LIMIT 1
        ) AS late_at
) AS found
CROSS JOIN LATERAL (
    SELECT
        coalesce(found.newest - $3::bigint, 0::bigint)
            + CASE WHEN found.late_at IS NULL THEN 0::bigint ELSE 1::bigint END AS lag,
        least(found.sent_at, found.late_at) AS first_at
) AS looked
