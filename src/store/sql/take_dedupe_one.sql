-- Takes the dedupe key $2 of topic $1 for message $3, for $4 microseconds; no row: it is taken.
-- The same as `take_dedupe` for one, without the arrays, whose plan would be made anew each time. The first look spares
-- duplicates the lock on the row, for which they would wait in line.
INSERT INTO outtray.dedupe (topic, key, id, expires_at)
SELECT $1::text, $2::text, $3::uuid, statement_timestamp() + $4::bigint * interval '1 microsecond'
WHERE NOT EXISTS (
        SELECT FROM outtray.dedupe AS known
        WHERE known.topic = $1::text
            AND known.key = $2::text
            AND known.expires_at > statement_timestamp()
    )
ON CONFLICT (topic, key) DO UPDATE
SET id = excluded.id, expires_at = excluded.expires_at
WHERE dedupe.expires_at <= statement_timestamp()
RETURNING topic, key, id, true AS is_new
