-- Puts $3 tokens back into the buckets of topic $1 with keys $2, which gain $4 in $5 microseconds:
-- they were not spent. An upsert, which finds its row by the key whatever the statistics say. A
-- bucket without a row is full and stays so. In UTC, as in `take_tokens`.
INSERT INTO outtray.bucket (topic, key, full_at, granted, token_us, burst)
SELECT $1::text, unspent.key, now(), unspent.tokens, $5::bigint::float8 / $4::bigint::float8, 1
FROM unnest($2::text[], $3::bigint[]) AS unspent (key, tokens)
ORDER BY unspent.key
ON CONFLICT (topic, key) DO UPDATE
SET full_at = (
    (bucket.full_at AT TIME ZONE 'UTC') - floor(excluded.granted::float8 * excluded.token_us) * interval '1 microsecond'
) AT TIME ZONE 'UTC'
