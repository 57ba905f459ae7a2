-- Returns how many entries the log $1 has in its segments $2, counted up to $3 and no further, how
-- many named readers it has, and the age of the first entry in microseconds (NULL if there is
-- none). Index: log_entry_seq, once for each segment.
SELECT
    (
        SELECT count(*)
        FROM (
            SELECT
            FROM outtray.log_entry
            WHERE log_entry.segment = ANY ($2::bigint[])
                AND log_entry.topic = $1::text
            LIMIT $3::bigint
        ) AS counted
    ) AS entries,
    (SELECT count(*) FROM outtray.log_reader WHERE log_reader.topic = $1::text) AS readers,
    (
        SELECT (extract(epoch FROM
            clock_timestamp() - least(greatest(first.sent_at, '0001-01-01 00:00:00+00'), clock_timestamp())
        ) * 1000000::numeric)::bigint
        FROM (
            SELECT log_entry.sent_at
            FROM outtray.log_entry
            WHERE log_entry.segment = ANY ($2::bigint[])
                AND log_entry.topic = $1::text
            ORDER BY log_entry.seq + 0
            LIMIT 1
        ) AS first
    ) AS oldest_us
