-- Returns how many numbers of the log $1, in its segments $2, there are after $3, the last in a tick,
-- and how long ago the first of them was sent. Index: log_entry_seq, from both its ends, once for
-- each segment.
SELECT
    last.seq - $3::bigint AS lag,
    (extract(epoch FROM greatest(clock_timestamp() - first.sent_at, interval '0')) * 1000::numeric)::bigint AS sent_ms
FROM (
    SELECT log_entry.sent_at
    FROM outtray.log_entry
    WHERE log_entry.segment = ANY ($2::bigint[])
        AND log_entry.topic = $1::text
        AND (log_entry.seq + 0) > $3::bigint
    ORDER BY log_entry.seq + 0
    LIMIT 1
) AS first
CROSS JOIN (
    SELECT log_entry.seq
    FROM outtray.log_entry
    WHERE log_entry.segment = ANY ($2::bigint[])
        AND log_entry.topic = $1::text
        AND (log_entry.seq + 0) > $3::bigint
    ORDER BY log_entry.seq + 0 DESC
    LIMIT 1
) AS last
