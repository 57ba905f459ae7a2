-- Returns all subscriptions, sorted, without those that only hold a topic. By hand: reads the table
-- as a whole.
SELECT
    subscription.topic, subscription.pattern, subscription.filter,
    subscription.grace_us IS NOT NULL AS is_ephemeral
FROM outtray.subscription
WHERE subscription.pattern <> ''
    OR subscription.grace_us IS NULL
ORDER BY subscription.topic, subscription.pattern
