-- Ends all subscriptions of topic $1. The caller has renewed the version. Index: the primary key.
DELETE FROM outtray.subscription
WHERE subscription.topic = $1::text
