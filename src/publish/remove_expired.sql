-- Removes those subscriptions of topics $1 that are ephemeral and expired, unless their holders
-- came back meanwhile. Returns their topics. The caller has renewed the version. Index: the primary
-- key.
DELETE FROM outtray.subscription
WHERE subscription.topic = ANY ($1::text[])
    AND (subscription.grace_us IS NOT NULL) IS TRUE
    -- Asked of the row as it is now, where its holder was quicker.
    AND (subscription.expires_at <= now()) IS TRUE
    AND NOT EXISTS (
        SELECT FROM outtray.subscription AS wanted
        WHERE wanted.topic = subscription.topic
            AND wanted.expires_at > now()
    )
RETURNING subscription.topic
