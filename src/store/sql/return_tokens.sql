-- Puts $3 tokens back into the buckets of topic $1 with keys $2, which gain $4 in $5 microseconds: they were not spent.
UPDATE outtray.bucket
SET full_at = bucket.full_at - floor(unspent.tokens * ($5::bigint::float8 / $4::bigint)) * interval '1 microsecond'
FROM unnest($2::text[], $3::bigint[]) AS unspent (key, tokens)
WHERE bucket.topic = $1::text
    AND bucket.key = unspent.key
