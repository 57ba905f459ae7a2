-- Removes up to $1 buckets that are full: a bucket that is not there is full too.
WITH idle AS MATERIALIZED (
    SELECT bucket.topic, bucket.key
    FROM outtray.bucket
    WHERE bucket.full_at <= now() - interval '1 minute'
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
)
DELETE FROM outtray.bucket
USING idle
WHERE bucket.topic = idle.topic
    AND bucket.key = idle.key
