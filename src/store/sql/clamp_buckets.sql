-- Fits the buckets of topic $1 to a rate that was set: with the empty key ($2) or all others, to be full within $3
-- microseconds. NULL: there is no rate, and so no bucket.
-- A bucket that was emptied at a slow rate would stay empty for as long, at whatever rate is set then.
WITH useless AS (
    DELETE FROM outtray.bucket
    WHERE bucket.topic = $1::text
        AND (bucket.key = '') = $2::boolean
        AND $3::bigint IS NULL
)
UPDATE outtray.bucket
SET full_at = least(bucket.full_at, now() + $3::bigint * interval '1 microsecond')
WHERE bucket.topic = $1::text
    AND (bucket.key = '') = $2::boolean
    AND $3::bigint IS NOT NULL
