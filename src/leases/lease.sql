-- Leases up to $5 ready messages of topic $1 for $6 microseconds: moves them to `scheduled`, each
-- with a new receipt and one more attempt, and returns them with the attempts before. Looks where
-- `claim` does: into spans of the primary key, from (rank $2, seq $3) up to rank $4. Unless $7 is
-- NULL, only messages whose headers a filter wants ($7, $8, $9), as in `claim_filtered`. The place
-- of each is kept in `seq`, so that it can go back to it. One that somebody asked to be given up,
-- while it was in other hands, says so: it is not to be begun.
WITH ready AS MATERIALIZED (
    SELECT
        $1::text AS topic, ready.rank, ready.seq,
        gen_random_uuid() AS receipt,
        -- NULL for no. Nearly always there is no request, and one look tells so for all messages.
        CASE
            WHEN (
                SELECT cancellation.id
                FROM outtray.cancellation
                WHERE cancellation.topic = $1::text
                    AND cancellation.id >= '00000000-0000-0000-0000-000000000000'
                ORDER BY cancellation.topic, cancellation.id
                LIMIT 1
            ) IS NOT NULL
            THEN (
                SELECT true
                FROM outtray.cancellation
                WHERE cancellation.topic = $1::text
                    AND cancellation.id = ready.id
            )
        END AS is_cancelled
    FROM unnest($2::smallint[], $3::bigint[], $4::integer[]) AS span (rank, seq, until)
    CROSS JOIN LATERAL (
        SELECT message.rank, message.seq, message.id
        FROM outtray.message
        WHERE message.topic = $1::text
            AND (message.rank, message.seq) >= (span.rank, span.seq)
            AND message.rank < span.until
            AND (message.not_before IS NULL OR message.not_before <= now())
            AND (
                $7::text[] IS NULL
                OR outtray.matches(message.headers, $7::text[], $8::text[], (SELECT $9::text[]::jsonb[]))
            )
        ORDER BY message.rank, message.seq
        LIMIT $5::bigint
        FOR UPDATE SKIP LOCKED
    ) AS ready
    LIMIT $5::bigint
),
taken AS (
    -- By all of the key, as in `acknowledge`.
    DELETE FROM outtray.message
    USING ready
    WHERE message.topic = ANY (ARRAY[ready.topic])
        AND message.rank = ready.rank
        AND message.seq = ready.seq
    RETURNING
        message.topic, message.rank, message.seq, message.id, message.attempts, message.sent_at,
        message.headers, message.payload, message.body,
        message.key, message.expires_at, message.on_end,
        ready.receipt, ready.is_cancelled
),
leased AS (
    INSERT INTO outtray.scheduled
        (topic, rank, id, attempts, sent_at, headers, payload, body, key, expires_at, on_end, seq, receipt, is_cancelled, due_at)
    SELECT
        taken.topic, taken.rank, taken.id, least(greatest(taken.attempts, 0)::integer + 1, 32767), taken.sent_at,
        taken.headers, taken.payload, taken.body, taken.key, taken.expires_at, taken.on_end, taken.seq, taken.receipt,
        taken.is_cancelled,
        clock_timestamp() + $6::bigint::float8 * interval '1 microsecond'
    FROM taken
)
SELECT
    taken.rank, taken.seq, taken.id, taken.attempts,
    pg_catalog.encode(pg_catalog.timestamptz_send(taken.sent_at), 'hex') AS sent_at,
    taken.headers, taken.payload, taken.body,
    taken.key, taken.on_end, taken.expires_at <= now() AS is_expired,
    taken.receipt, taken.is_cancelled
FROM taken
