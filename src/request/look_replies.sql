-- Returns up to $5 messages of topic $1, most urgent first, then oldest, and takes none: one thread
-- reads the topic, and removes them once it has passed them on. Looks into spans of the primary key
-- as `claim` does: from (rank $2, seq $3) up to rank $4. Index: the primary key.
SELECT
    ready.rank, ready.seq, ready.id, ready.attempts,
    pg_catalog.encode(pg_catalog.timestamptz_send(ready.sent_at), 'hex') AS sent_at,
    ready.headers, ready.payload, ready.body,
    ready.key, ready.on_end, false AS is_expired, NULL AS due_at
FROM unnest($2::smallint[], $3::bigint[], $4::integer[]) AS span (rank, seq, until)
CROSS JOIN LATERAL (
    SELECT
        message.rank, message.seq, message.id, message.attempts, message.sent_at,
        message.headers, message.payload, message.body, message.key, message.on_end
    FROM outtray.message
    WHERE message.topic = $1::text
        AND (message.rank, message.seq) >= (span.rank, span.seq)
        AND message.rank < span.until
    ORDER BY message.rank, message.seq
    LIMIT $5::bigint
) AS ready
LIMIT $5::bigint
