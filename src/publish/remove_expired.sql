-- Removes the subscriptions of topics $1, which are ephemeral and expired, unless their holders
-- came back meanwhile. Returns the topics that were removed. The caller has renewed the version.
-- Index: the primary key.
DELETE FROM outtray.subscription
WHERE subscription.topic = ANY ($1::text[])
    AND NOT EXISTS (
        SELECT FROM outtray.subscription AS wanted
        WHERE wanted.topic = subscription.topic
            AND wanted.expires_at > now()
    )
RETURNING subscription.topic
