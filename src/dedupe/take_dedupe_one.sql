-- Takes the dedupe key $2 of topic $1 for message $3, for $4 microseconds (0: until the message has
-- ended), and returns the id that has it: the new one, or an earlier one. No row for a key that
-- another transaction took meanwhile. The same as `take_dedupe` for one, without the arrays, whose
-- plan would be made anew each time. The first look spares duplicates the lock on the row, for
-- which they would wait in line.
WITH asked AS MATERIALIZED (
    SELECT CASE
        WHEN $4::bigint > 0 THEN statement_timestamp() + $4::bigint::float8 * interval '1 microsecond'
        ELSE 'infinity'
    END AS expires_at
),
known AS MATERIALIZED (
    SELECT dedupe.topic, dedupe.key, dedupe.id, dedupe.expires_at > statement_timestamp() AS is_taken
    FROM outtray.dedupe
    WHERE dedupe.topic = $1::text
        AND dedupe.key = $2::text
),
renewed AS (
    UPDATE outtray.dedupe
    SET id = $3::uuid, expires_at = asked.expires_at
    FROM asked
    WHERE dedupe.topic = $1::text
        AND dedupe.key = $2::text
        AND dedupe.expires_at <= statement_timestamp()
    RETURNING dedupe.topic, dedupe.key, dedupe.id
),
taken AS (
    INSERT INTO outtray.dedupe (topic, key, id, expires_at)
    SELECT $1::text, $2::text, $3::uuid, asked.expires_at
    FROM asked
    WHERE NOT EXISTS (SELECT FROM known)
    -- As in `take_dedupe`.
    ON CONFLICT (topic, key) DO NOTHING
    RETURNING dedupe.topic, dedupe.key, dedupe.id
)
SELECT renewed.topic, renewed.key, renewed.id, true AS is_new FROM renewed
UNION ALL
SELECT taken.topic, taken.key, taken.id, true AS is_new FROM taken
UNION ALL
SELECT known.topic, known.key, known.id, false AS is_new FROM known WHERE known.is_taken
