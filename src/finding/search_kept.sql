-- Looks at up to $4 entries of the log $1, which are in its segments $2, the newest first, with
-- smaller numbers than $3. Returns the first $5 with the key $6, that a filter wants (steps $7,
-- names $8, operands $9), each unless it is NULL, and that were sent from $10 to before $11; and
-- how many it looked at, as `search_ready` does. Index: log_entry_seq, from its end, once for each
-- segment.
WITH looked_at AS MATERIALIZED (
    SELECT log_entry.seq, log_entry.segment, log_entry.id, log_entry.key, log_entry.sent_at, log_entry.headers
    FROM outtray.log_entry
    WHERE log_entry.segment = ANY ($2::bigint[])
        AND log_entry.topic = $1::text
        AND log_entry.seq + 0 < $3::bigint
    ORDER BY log_entry.seq + 0 DESC
    LIMIT $4::bigint
),
wanted AS MATERIALIZED (
    SELECT looked_at.seq, looked_at.segment, looked_at.id
    FROM looked_at
    WHERE ($6::text IS NULL OR looked_at.key = $6::text)
        AND looked_at.sent_at >= timestamptz '1970-01-01 00:00:00+00' + $10::bigint::float8 * interval '1 microsecond'
        AND looked_at.sent_at < timestamptz '1970-01-01 00:00:00+00' + $11::bigint::float8 * interval '1 microsecond'
        AND ($7::text[] IS NULL OR outtray.matches(looked_at.headers, $7::text[], $8::text[], (SELECT $9::text[]::jsonb[])))
    ORDER BY looked_at.seq DESC
    LIMIT $5::bigint
)
SELECT wanted.id, 0::smallint AS rank, wanted.seq, NULL::text AS key, wanted.segment, 0::bigint AS looked_at
FROM wanted
UNION ALL
SELECT NULL, 0::smallint, last.seq, NULL, 0, (SELECT count(*) FROM looked_at)
FROM (SELECT looked_at.seq FROM looked_at ORDER BY looked_at.seq LIMIT 1) AS last
