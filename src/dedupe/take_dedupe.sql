-- Takes the dedupe keys $2 of topics $1 for messages $3, for $4 microseconds each (0: until the
-- message has ended), and returns the ids that have them: new ones, and earlier ones where a key is
-- taken. No row for a key that another transaction took meanwhile. Index: the primary key. The
-- first look spares duplicates the lock on the row, for which they would wait in line. Sorted, so
-- that two transactions that want the same keys wait for each other in one direction only.
WITH asked AS MATERIALIZED (
    SELECT
        asked.topic, asked.key, asked.id,
        CASE
            WHEN asked.window_us > 0 THEN statement_timestamp() + asked.window_us::float8 * interval '1 microsecond'
            ELSE 'infinity'
        END AS expires_at
    FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[]) AS asked (topic, key, id, window_us)
    ORDER BY asked.topic, asked.key
),
known AS MATERIALIZED (
    SELECT dedupe.topic, dedupe.key, dedupe.id, dedupe.expires_at > statement_timestamp() AS is_taken
    FROM asked
    CROSS JOIN LATERAL (
        SELECT dedupe.topic, dedupe.key, dedupe.id, dedupe.expires_at
        FROM outtray.dedupe
        WHERE dedupe.topic = asked.topic
            AND dedupe.key = asked.key
        OFFSET 0
    ) AS dedupe
),
renewed AS (
    -- Their windows are over. No upsert, which may compare the time with nothing but columns.
    UPDATE outtray.dedupe
    SET id = asked.id, expires_at = asked.expires_at
    FROM asked
    JOIN known ON known.topic = asked.topic AND known.key = asked.key AND NOT known.is_taken
    WHERE dedupe.topic = ANY (ARRAY[asked.topic])
        AND dedupe.key = asked.key
        AND dedupe.expires_at <= statement_timestamp()
    RETURNING dedupe.topic, dedupe.key, dedupe.id
),
taken AS (
    INSERT INTO outtray.dedupe (topic, key, id, expires_at)
    SELECT asked.topic, asked.key, asked.id, asked.expires_at
    FROM asked
    WHERE NOT EXISTS (
        SELECT FROM known
        WHERE known.topic = asked.topic
            AND known.key = asked.key
    )
    ORDER BY asked.topic, asked.key
    -- Not DO UPDATE, which locks the row of who was quicker for as long as this transaction lasts,
    -- also if it changes nothing: the end of that message would find it locked, and could not free
    -- its key.
    ON CONFLICT (topic, key) DO NOTHING
    RETURNING dedupe.topic, dedupe.key, dedupe.id
)
SELECT renewed.topic, renewed.key, renewed.id, true AS is_new FROM renewed
UNION ALL
SELECT taken.topic, taken.key, taken.id, true AS is_new FROM taken
UNION ALL
SELECT known.topic, known.key, known.id, false AS is_new FROM known WHERE known.is_taken
