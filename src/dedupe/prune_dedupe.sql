-- Removes up to $1 dedupe keys whose window is over. The locks see to it that one that was just
-- taken anew stays. Index: dedupe_expiry, and the primary key.
WITH spent AS MATERIALIZED (
    SELECT dedupe.topic, dedupe.key
    FROM outtray.dedupe
    WHERE dedupe.expires_at <= now()
        AND dedupe.expires_at < 'infinity'
    ORDER BY dedupe.expires_at
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
)
DELETE FROM outtray.dedupe
USING spent
WHERE dedupe.topic = ANY (ARRAY[spent.topic])
    AND dedupe.key = spent.key
