-- Returns the newest $3 entries of the log $1, which are in its segments $2, the newest first;
-- takes nothing. Index: log_entry_seq, from its end, once for each segment.
SELECT
    log_entry.id, 0::smallint AS rank, 0::smallint AS attempts, NULL::text AS failures,
    (extract(epoch FROM least(greatest(log_entry.sent_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS sent_at_us,
    log_entry.key, log_entry.headers::text, log_entry.payload::text, log_entry.body
FROM outtray.log_entry
WHERE log_entry.segment = ANY ($2::bigint[])
    AND log_entry.topic = $1::text
ORDER BY log_entry.seq + 0 DESC
LIMIT $3::bigint
