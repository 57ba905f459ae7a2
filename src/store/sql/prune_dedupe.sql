-- Removes up to $1 dedupe keys whose window is over.
-- Index: dedupe_expiry. The lock sees to it that a key that was just taken anew stays.
WITH old AS MATERIALIZED (
    SELECT dedupe.topic, dedupe.key
    FROM outtray.dedupe
    WHERE dedupe.expires_at <= now()
    ORDER BY dedupe.expires_at
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
)
DELETE FROM outtray.dedupe
USING old
WHERE dedupe.topic = old.topic
    AND dedupe.key = old.key
