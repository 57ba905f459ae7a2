-- Removes up to $3 dead letters of topic $1 for good that died more than $2 milliseconds ago, the
-- oldest first. Returns how many, and those whose end matters to others, as `purge_dead` does. Keys
-- that they held become stalled, said by $4. Index: dead_letter_age.
WITH old AS MATERIALIZED (
    SELECT dead_letter.topic, dead_letter.id
    FROM outtray.dead_letter
    WHERE dead_letter.topic || '' = $1::text
        AND dead_letter.died_at < now() - $2::bigint::float8 * interval '1 millisecond'
    ORDER BY dead_letter.died_at
    LIMIT $3::bigint
    FOR UPDATE SKIP LOCKED
),
taken AS (
    DELETE FROM outtray.dead_letter
    USING old
    WHERE dead_letter.topic = ANY (ARRAY[old.topic])
        AND dead_letter.id = old.id
    RETURNING dead_letter.topic, dead_letter.id, dead_letter.key, dead_letter.on_end
),
stuck AS (
    INSERT INTO outtray.stalled (topic, key, said_by)
    SELECT DISTINCT taken.topic, taken.key, $4::uuid
    FROM taken
    WHERE taken.key IS NOT NULL
)
SELECT NULL AS id, NULL::smallint AS on_end, count(*) AS messages, NULL::uuid AS last
FROM taken
UNION ALL
-- As for `purge_dead`, it takes no room any more.
SELECT taken.id, (taken.on_end & 1)::smallint AS on_end, 0 AS messages, NULL AS last
FROM taken
WHERE taken.on_end & 1 <> 0
