-- Makes due what was put off for want of a token, and says $3, of those keys $2 of topic $1 that
-- have a token now. A bucket without a row is full. Index: bucket_pkey, scheduled_key, the primary
-- key.
WITH put_off AS MATERIALIZED (
    SELECT found.topic, found.id
    FROM pg_catalog.unnest($2::text[]) WITH ORDINALITY AS given (key, number)
    CROSS JOIN LATERAL (
        SELECT scheduled.topic, scheduled.id
        FROM outtray.scheduled
        WHERE scheduled.topic COLLATE "POSIX" = $1::text
            AND scheduled.key = given.key
            AND scheduled.seq IS NOT NULL
            AND (scheduled.receipt IS NULL AND scheduled.error = $3::text AND scheduled.due_at > now()) IS TRUE
        OFFSET 0
    ) AS found
    -- Always so, as in `bury`.
    WHERE given.number BETWEEN -9223372036854775807 AND 9223372036854775807
        AND NOT EXISTS (
            SELECT
            FROM outtray.bucket
            WHERE bucket.topic = $1::text
                AND bucket.key = given.key
                -- As in `take_tokens`.
                AND bucket.full_at > now() + (bucket.burst - 1)::float8 * bucket.token_us * interval '1 microsecond'
            OFFSET 0
        )
)
UPDATE outtray.scheduled
SET due_at = now()
FROM put_off
WHERE scheduled.topic = ANY (ARRAY[put_off.topic])
    AND scheduled.id = put_off.id
    AND (scheduled.receipt IS NULL AND scheduled.due_at > now()) IS TRUE
