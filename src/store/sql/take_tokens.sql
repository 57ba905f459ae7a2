-- Takes up to $3 tokens from the buckets of topic $1 with keys $2, which gain $4 in $5 microseconds and hold $6.
-- Returns for each how many it got, and in how many microseconds the next one is there.
-- A bucket is the time at which it will be full: it fills by itself, and one that is full needs no row.
-- Rounded up to the microsecond: never more than the rate. The small number forgives what dividing loses.
INSERT INTO outtray.bucket (topic, key, granted, full_at)
SELECT
    $1::text, asked.key, least(asked.tokens, $6::bigint),
    now() + ceil(least(asked.tokens, $6::bigint) * ($5::bigint::float8 / $4::bigint)) * interval '1 microsecond'
FROM unnest($2::text[], $3::bigint[]) AS asked (key, tokens)
ORDER BY asked.key
ON CONFLICT (topic, key) DO UPDATE
SET granted = greatest(0, least(
        excluded.granted,
        floor(
            $6::bigint + 0.000001
            - greatest(0, extract(epoch FROM bucket.full_at - now())::float8 * 1000000)
                / ($5::bigint::float8 / $4::bigint)
        )::bigint
    )),
    full_at = greatest(bucket.full_at, now()) + ceil(
        greatest(0, least(
            excluded.granted,
            floor(
                $6::bigint + 0.000001
                - greatest(0, extract(epoch FROM bucket.full_at - now())::float8 * 1000000)
                    / ($5::bigint::float8 / $4::bigint)
            )::bigint
        )) * ($5::bigint::float8 / $4::bigint)
    ) * interval '1 microsecond'
RETURNING
    key, granted,
    greatest(0, ceil(
        extract(epoch FROM full_at - now())::float8 * 1000000
        - ($6::bigint - 1) * ($5::bigint::float8 / $4::bigint)
    ))::bigint AS wait_us
