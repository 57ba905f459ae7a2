-- Says of the ephemeral subscriptions of topics $1 that they are still wanted. Returns those topics
-- that have any: those of the others were removed. One that was made anew meanwhile with another
-- grace time, or none, is as new. Index: the primary key.
WITH mine AS MATERIALIZED (
    SELECT
        subscription.topic, subscription.pattern, subscription.grace_us,
        now() + least(greatest(subscription.grace_us, 0), 31557600000000)::float8 * interval '1 microsecond' AS expires_at
    FROM outtray.subscription
    WHERE subscription.topic = ANY ($1::text[])
        AND subscription.grace_us IS NOT NULL
)
UPDATE outtray.subscription
SET expires_at = mine.expires_at
FROM mine
WHERE subscription.topic = ANY (ARRAY[mine.topic])
    AND subscription.pattern = mine.pattern
    AND (subscription.grace_us = mine.grace_us) IS TRUE
RETURNING subscription.topic
