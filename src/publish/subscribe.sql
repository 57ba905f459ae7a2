-- Has topic $1 get what is published with a key that matches pattern $2, with headers that match $3
-- (NULL: any), in place of an earlier filter; for $4 microseconds unless it is said again (NULL:
-- for good). $5 is the filter as `matches` takes it. Returns whether that is new. The caller has
-- renewed the version. Index: the primary key.
WITH known AS MATERIALIZED (
    SELECT subscription.filter, subscription.grace_us
    FROM outtray.subscription
    WHERE subscription.topic = $1::text
        AND subscription.pattern = $2::text
),
written AS (
    INSERT INTO outtray.subscription (topic, pattern, filter, grace_us, expires_at, program)
    VALUES (
        $1::text, $2::text, $3::text, $4::bigint,
        now() + $4::bigint::float8 * interval '1 microsecond', $5::text::json
    )
    ON CONFLICT (topic, pattern) DO UPDATE
    SET filter = excluded.filter, grace_us = excluded.grace_us, expires_at = excluded.expires_at,
        program = excluded.program
)
SELECT NOT EXISTS (
    SELECT FROM known
    WHERE known.filter IS NOT DISTINCT FROM $3::text
        AND known.grace_us IS NOT DISTINCT FROM $4::bigint
) AS is_new
