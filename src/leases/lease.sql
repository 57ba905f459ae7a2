-- Leases up to $5 ready messages of topic $1 for $6 microseconds: moves them to `scheduled`, each
-- with a new receipt and one more attempt, and returns them with the attempts before. Looks where
-- `claim` does: into spans of the primary key, from (rank $2, seq $3) up to rank $4. Unless $7 is
-- NULL, only messages whose headers a filter wants ($7, $8, $9), as in `claim_filtered`. The place
-- of each is kept in `seq`, so that it can go back to it. One that somebody asked to be given up,
-- while it was in other hands, says so: it is not to be begun.
WITH ready AS MATERIALIZED (
    SELECT ready.rank, ready.seq
    FROM unnest($2::smallint[], $3::bigint[], $4::integer[]) AS span (rank, seq, until)
    CROSS JOIN LATERAL (
        SELECT message.rank, message.seq
        FROM outtray.message
        WHERE message.topic = $1::text
            AND (message.rank, message.seq) >= (span.rank, span.seq)
            AND message.rank < span.until
            AND (message.not_before IS NULL OR message.not_before <= now())
            AND (
                $7::text[] IS NULL
                OR CASE
                    WHEN ($7::text[])[1] = 'in' AND ($7::text[])[2] IS NULL
                        AND json_typeof(message.headers) = 'object' AND strpos(message.headers::text, E'\\u') = 0
                    THEN (((SELECT $9::text[]::jsonb[]))[1] ? (message.headers ->> ($8::text[])[1])) IS TRUE
                    ELSE outtray.matches(message.headers, $7::text[], $8::text[], (SELECT $9::text[]::jsonb[]))
                END
            )
        ORDER BY message.rank, message.seq
        LIMIT $5::bigint
        FOR UPDATE SKIP LOCKED
    ) AS ready
    LIMIT $5::bigint
),
asked AS MATERIALIZED (
    -- Nearly always nobody asked for anything, and one look tells so for all messages.
    SELECT cancellation.id
    FROM outtray.cancellation
    WHERE cancellation.topic = $1::text
        AND cancellation.id >= '00000000-0000-0000-0000-000000000000'
    ORDER BY cancellation.topic, cancellation.id
    LIMIT 1
),
taken AS (
    -- By one walk over what was walked over just now, from the first place to the last of each
    -- rank: a look-up for each message would cost more than twice as much. What lies between and
    -- was not taken is in the hands of others, or not wanted. `IS TRUE` keeps the planner from a
    -- join, and the limit, which no claim exceeds, from expecting more rows than it would hash.
    DELETE FROM outtray.message
    USING (
        SELECT
            $1::text AS topic, ready.rank, min(ready.seq) AS first, max(ready.seq) AS last,
            -- Random bytes are dear, so a claim has six, for one receipt of each of its places.
            pg_catalog.substr(pg_catalog.uuid_send(gen_random_uuid()), 1, 6)
                || pg_catalog.int2send(ready.rank) AS mark
        FROM ready
        GROUP BY ready.rank
        OFFSET 0
    ) AS walk
    WHERE message.topic = ANY (ARRAY[walk.topic])
        AND message.rank = walk.rank
        AND message.seq >= walk.first
        AND message.seq <= walk.last
        AND ((message.rank, message.seq) IN (SELECT ready.rank, ready.seq FROM ready LIMIT 10000)) IS TRUE
    RETURNING
        message.topic, message.rank, message.seq, message.id, message.attempts, message.sent_at,
        message.headers, message.payload, message.body,
        message.key, message.expires_at, message.on_end, message.due_at, message.failures,
        pg_catalog.encode(walk.mark || pg_catalog.int8send(message.seq), 'hex')::uuid AS receipt
),
leased AS (
    INSERT INTO outtray.scheduled
        (topic, rank, id, attempts, sent_at, headers, payload, body, key, expires_at, on_end, seq, failures, receipt, is_cancelled, due_at)
    SELECT
        taken.topic, taken.rank, taken.id, least(greatest(taken.attempts, 0)::integer + 1, 32767), taken.sent_at,
        taken.headers, taken.payload, taken.body, taken.key, taken.expires_at, taken.on_end, taken.seq, taken.failures, taken.receipt,
        CASE
            WHEN (SELECT asked.id FROM asked) IS NOT NULL
            THEN (
                SELECT true
                FROM outtray.cancellation
                WHERE cancellation.topic = $1::text
                    AND cancellation.id = taken.id
            )
        END,
        clock_timestamp() + $6::bigint::float8 * interval '1 microsecond'
    FROM taken
    -- One that is there already, since somebody wrote it twice, is not leased: its receipt is none,
    -- and the others go on.
    ON CONFLICT (topic, id) DO NOTHING
)
SELECT
    taken.rank, taken.seq, taken.id, taken.attempts,
    pg_catalog.encode(pg_catalog.timestamptz_send(taken.sent_at), 'hex') AS sent_at,
    taken.headers, taken.payload, taken.body,
    taken.key, taken.on_end, taken.expires_at <= now() AS is_expired,
    pg_catalog.encode(pg_catalog.timestamptz_send(taken.due_at), 'hex') AS due_at,
    taken.receipt,
    -- NULL for no.
    CASE
        WHEN (SELECT asked.id FROM asked) IS NOT NULL
        THEN (
            SELECT true
            FROM outtray.cancellation
            WHERE cancellation.topic = $1::text
                AND cancellation.id = taken.id
        )
    END AS is_cancelled
FROM taken
