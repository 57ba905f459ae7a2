-- Says of the ephemeral subscriptions of topics $1 that they are still wanted. Returns those topics
-- that have any: those of the others were removed. Index: the primary key.
UPDATE outtray.subscription
SET expires_at = now() + subscription.grace_us::float8 * interval '1 microsecond'
WHERE subscription.topic = ANY ($1::text[])
    AND subscription.grace_us IS NOT NULL
RETURNING subscription.topic
