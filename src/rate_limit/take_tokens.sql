-- Takes up to $3 tokens from the buckets of topic $1 with keys $2, which gain $4 in $5 microseconds
-- and hold $6. Returns for each how many it got, and in how many microseconds the next one is
-- there. A bucket is the time at which it will be full: it fills by itself, and one that is full
-- needs no row. None is emptier than empty: one that was emptied at a slow rate, maybe by a process
-- that has not heard of the new one, would stay empty for as long, at whatever rate is set since.
-- Rounded up to the microsecond: never more than the rate. The small number forgives what dividing
-- loses. The time and the rate are columns of the proposed row: where the table is distributed, an
-- upsert may compute with nothing but columns, by what never depends on a time zone. So times are
-- added to in UTC.
INSERT INTO outtray.bucket (topic, key, granted, full_at, asked_at, token_us, burst)
SELECT
    $1::text, asked.key, least(asked.tokens, $6::bigint),
    now() + ceil(least(asked.tokens, $6::bigint)::float8 * rate.token_us) * interval '1 microsecond',
    now(), rate.token_us, $6::bigint
FROM unnest($2::text[], $3::bigint[]) AS asked (key, tokens)
CROSS JOIN (SELECT $5::bigint::float8 / $4::bigint::float8 AS token_us) AS rate
ORDER BY asked.key
ON CONFLICT (topic, key) DO UPDATE
SET (granted, full_at, asked_at, token_us, burst) = (
    SELECT
        given.tokens,
        (
            (excluded.asked_at AT TIME ZONE 'UTC')
            + ceil(level.missing_us + given.tokens::float8 * excluded.token_us) * interval '1 microsecond'
        ) AT TIME ZONE 'UTC',
        excluded.asked_at, excluded.token_us, excluded.burst
    FROM (
        SELECT least(
            extract(epoch FROM
                least(greatest(bucket.full_at, excluded.asked_at), '9999-12-31 00:00:00+00') - excluded.asked_at
            )::float8 * 1000000::float8,
            excluded.burst::float8 * excluded.token_us
        ) AS missing_us
    ) AS level
    CROSS JOIN LATERAL (
        SELECT greatest(0, least(
            excluded.granted,
            floor(excluded.burst::float8 + 0.000001::float8 - level.missing_us / excluded.token_us)::bigint
        )) AS tokens
    ) AS given
)
RETURNING
    bucket.key, bucket.granted,
    greatest(0, ceil(
        extract(epoch FROM greatest(bucket.full_at, bucket.asked_at) - bucket.asked_at)::float8 * 1000000::float8
        - (bucket.burst - 1)::float8 * bucket.token_us
    ))::bigint AS wait_us
