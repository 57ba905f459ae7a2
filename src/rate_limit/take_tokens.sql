-- Takes up to $3 tokens from the buckets of topic $1 with keys $2, which gain $4 in $5 microseconds
-- and hold $6. Returns for each how many it got, and in how many microseconds the next one is
-- there. A bucket is the time at which it will be full: it fills by itself, and one that is full
-- needs no row. None is emptier than empty: one that was emptied at a slow rate, maybe by a process
-- that has not heard of the new one, would stay empty for as long, at whatever rate is set since.
-- Rounded up to the microsecond: never more than the rate. The small number forgives what dividing
-- loses.
INSERT INTO outtray.bucket (topic, key, granted, full_at)
SELECT
    $1::text, asked.key, least(asked.tokens, $6::bigint),
    now() + ceil(least(asked.tokens, $6::bigint)::float8 * ($5::bigint::float8 / $4::bigint::float8)) * interval '1 microsecond'
FROM unnest($2::text[], $3::bigint[]) AS asked (key, tokens)
ORDER BY asked.key
ON CONFLICT (topic, key) DO UPDATE
SET (granted, full_at) = (
    SELECT
        given.tokens,
        now() + ceil(level.missing_us + given.tokens::float8 * ($5::bigint::float8 / $4::bigint::float8)) * interval '1 microsecond'
    FROM (
        SELECT least(
            extract(epoch FROM least(greatest(bucket.full_at, now()), '9999-12-31 00:00:00+00') - now())::float8 * 1000000::float8,
            $6::bigint::float8 * ($5::bigint::float8 / $4::bigint::float8)
        ) AS missing_us
    ) AS level
    CROSS JOIN LATERAL (
        SELECT greatest(0, least(
            excluded.granted,
            floor($6::bigint::float8 + 0.000001::float8 - level.missing_us / ($5::bigint::float8 / $4::bigint::float8))::bigint
        )) AS tokens
    ) AS given
)
RETURNING
    key, granted,
    greatest(0, ceil(
        extract(epoch FROM greatest(full_at, now()) - now())::float8 * 1000000::float8
        - ($6::bigint - 1)::float8 * ($5::bigint::float8 / $4::bigint::float8)
    ))::bigint AS wait_us
