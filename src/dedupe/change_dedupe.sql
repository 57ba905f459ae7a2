-- Remembers the dedupe key $2 of topic $1 for $3 microseconds from now on, if it is taken, in place
-- of what was said when its message was sent. Index: the primary key.
UPDATE outtray.dedupe
SET expires_at = statement_timestamp() + $3::bigint::float8 * interval '1 microsecond'
WHERE dedupe.topic = $1::text
    AND dedupe.key = $2::text
    AND (dedupe.expires_at > statement_timestamp()) IS TRUE
