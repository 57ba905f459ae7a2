-- Locks up to $5 ready messages of topic $1, most urgent first, then oldest, skipping what others hold.
-- Looks into spans of the primary key one after the other: from (rank $2, seq $3) up to rank $4.
-- Index: the primary key; a span is one range of it, and a span that is full ends the walk.
-- The lateral query runs once for each span, so its own lock and limit count per span (a limited
-- FOR UPDATE inside a join on rows would lock again for each of them).
SELECT
    ready.rank, ready.seq, ready.id, ready.attempts,
    (extract(epoch FROM ready.sent_at) * 1000000)::bigint AS sent_at_us,
    ready.headers, ready.payload, ready.body
FROM unnest($2::smallint[], $3::bigint[], $4::integer[]) AS span (rank, seq, until)
CROSS JOIN LATERAL (
    SELECT
        message.rank, message.seq, message.id, message.attempts, message.sent_at,
        message.headers, message.payload, message.body
    FROM outtray.message
    WHERE message.topic = $1::text
        AND (message.rank, message.seq) >= (span.rank, span.seq)
        AND message.rank < span.until
        AND (message.not_before IS NULL OR message.not_before <= now())
    ORDER BY message.rank, message.seq
    LIMIT $5::bigint
    FOR UPDATE SKIP LOCKED
) AS ready
LIMIT $5::bigint
