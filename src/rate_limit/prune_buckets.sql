-- Removes up to $1 buckets that are full: one that is not there is full, too. The locks see to it
-- that one that was just used anew stays. The table is small.
WITH idle AS MATERIALIZED (
    SELECT bucket.ctid AS place
    FROM outtray.bucket
    WHERE bucket.full_at <= now() - interval '1 minute'
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
)
DELETE FROM outtray.bucket
WHERE bucket.ctid = ANY (ARRAY(SELECT idle.place FROM idle))
