-- Has messages of topic $1 with keys $2 that were put off for want of a token, and say $3, be due
-- when their keys have tokens, if that is earlier: the first of a key with its next token, and so
-- on. Keys gain $4 tokens in $5 microseconds and hold $6; without a rate (NULL) all are due. A
-- bucket without a row is full. What it lacks is reckoned as in `take_tokens`. Index: bucket_pkey,
-- scheduled_key, the primary key.
WITH put_off AS MATERIALIZED (
    SELECT found.topic, found.id, found.due_at
    FROM pg_catalog.unnest($2::text[]) WITH ORDINALITY AS given (key, number)
    CROSS JOIN (SELECT $5::bigint::float8 / $4::bigint::float8 AS token_us) AS rate
    CROSS JOIN LATERAL (
        SELECT coalesce(
            (
                SELECT extract(epoch FROM
                    least(greatest(bucket.full_at, now()), '9999-12-31 00:00:00+00') - now()
                )::float8 * 1000000::float8
                FROM outtray.bucket
                WHERE bucket.topic = $1::text
                    AND bucket.key = given.key
            ),
            0
        ) AS missing_us
        OFFSET 0
    ) AS level
    CROSS JOIN LATERAL (
        SELECT
            waiting.topic, waiting.id, waiting.due_at AS was_due_at,
            now() + coalesce(ceil(
                greatest(0, least(level.missing_us, $6::bigint::float8 * rate.token_us) - ($6::bigint - 1)::float8 * rate.token_us)
                + (waiting.number - 1)::float8 * rate.token_us
            ), 0) * interval '1 microsecond' AS due_at
        FROM (
            SELECT
                scheduled.topic, scheduled.id, scheduled.due_at,
                row_number() OVER (ORDER BY scheduled.due_at, scheduled.seq) AS number
            FROM outtray.scheduled
            WHERE scheduled.topic COLLATE "POSIX" = $1::text
                AND scheduled.key = given.key
                AND scheduled.seq IS NOT NULL
                AND (
                    scheduled.receipt IS NULL AND scheduled.error = $3::text
                    AND scheduled.due_at > now() AND scheduled.due_at < 'infinity'
                ) IS TRUE
            OFFSET 0
        ) AS waiting
        OFFSET 0
    ) AS found
    -- Always so, as in `bury`.
    WHERE given.number BETWEEN -9223372036854775807 AND 9223372036854775807
        -- A message is put off some milliseconds after its token was asked for.
        AND found.was_due_at > found.due_at + interval '10 milliseconds'
)
UPDATE outtray.scheduled
SET due_at = put_off.due_at
FROM put_off
WHERE scheduled.topic = ANY (ARRAY[put_off.topic])
    AND scheduled.id = put_off.id
    AND (scheduled.receipt IS NULL AND scheduled.due_at > put_off.due_at) IS TRUE
