-- Takes the dedupe key $2 of topic $1 for message $3, for $4 microseconds, and returns the id that has it: the new one, or
-- an earlier one. No row for a key that another transaction took meanwhile.
-- The same as `take_dedupe` for one, without the arrays, whose plan would be made anew each time. The first look spares
-- duplicates the lock on the row, for which they would wait in line.
WITH known AS MATERIALIZED (
    SELECT dedupe.topic, dedupe.key, dedupe.id
    FROM outtray.dedupe
    WHERE dedupe.topic = $1::text
        AND dedupe.key = $2::text
        AND (dedupe.expires_at > statement_timestamp()) IS TRUE
),
taken AS (
    INSERT INTO outtray.dedupe (topic, key, id, expires_at)
    SELECT $1::text, $2::text, $3::uuid, statement_timestamp() + $4::bigint::float8 * interval '1 microsecond'
    WHERE NOT EXISTS (SELECT FROM known)
    ON CONFLICT (topic, key) DO UPDATE
    SET id = excluded.id, expires_at = excluded.expires_at
    WHERE dedupe.expires_at <= statement_timestamp()
    RETURNING topic, key, id
)
SELECT taken.topic, taken.key, taken.id, true AS is_new FROM taken
UNION ALL
SELECT known.topic, known.key, known.id, false AS is_new FROM known
