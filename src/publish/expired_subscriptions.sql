-- Returns up to $1 topics of ephemeral subscriptions of which nobody said for long enough that they
-- are wanted. While the server was down nobody could, so that each has its time once more after a
-- start. Index: subscription_expiry.
SELECT subscription.topic
FROM outtray.subscription
WHERE subscription.expires_at <= now()
    AND (
        now() - pg_catalog.pg_postmaster_start_time()
            >= subscription.grace_us::float8 * interval '1 microsecond'
    ) IS TRUE
ORDER BY subscription.expires_at
LIMIT $1::bigint
