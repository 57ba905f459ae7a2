-- Returns up to $1 topics of ephemeral subscriptions of which nobody said for long enough that they
-- are wanted. While the server was down nobody could, so that each has its time once more after a
-- start. Index: subscription_expiry.
SELECT subscription.topic
FROM outtray.subscription
WHERE subscription.expires_at <= now()
    AND subscription.grace_us IS NOT NULL
    -- A year at most: what is much more is no interval.
    AND (
        now() - pg_catalog.pg_postmaster_start_time()
            >= least(greatest(subscription.grace_us, 0), 31557600000000)::float8 * interval '1 microsecond'
    ) IS TRUE
ORDER BY subscription.expires_at
LIMIT $1::bigint
