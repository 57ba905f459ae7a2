-- Ends what topic $1 gets by pattern $2. Returns it, if it was there. The caller has renewed the
-- version. Index: the primary key.
DELETE FROM outtray.subscription
WHERE subscription.topic = $1::text
    AND subscription.pattern = $2::text
RETURNING subscription.pattern
