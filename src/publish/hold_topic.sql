-- Holds topic $1 until nobody has said for $2 microseconds that it is wanted: by a subscription to
-- nothing, so that the version stays. Index: the primary key.
INSERT INTO outtray.subscription (topic, pattern, grace_us, expires_at)
VALUES (
    $1::text, '', $2::bigint, now() + $2::bigint::float8 * interval '1 microsecond'
)
