-- Returns all subscriptions, sorted. By hand: reads the table as a whole.
SELECT
    subscription.topic, subscription.pattern, subscription.filter,
    subscription.grace_us IS NOT NULL AS is_ephemeral
FROM outtray.subscription
ORDER BY subscription.topic, subscription.pattern
