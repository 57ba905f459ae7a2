-- Removes up to $1 buckets that are full: one that is not there is full, too. The locks see to it
-- that one that was just used anew stays. The table is small.
WITH idle AS MATERIALIZED (
    SELECT bucket.topic, bucket.key
    FROM outtray.bucket
    WHERE bucket.full_at <= now() - interval '1 minute'
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
)
DELETE FROM outtray.bucket
USING idle
WHERE bucket.topic = ANY (ARRAY[idle.topic])
    AND bucket.key = idle.key
