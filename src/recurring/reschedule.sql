-- Sets when the recurring message $2 of topic $1 was sent last, $3, and is sent next, $4, in
-- microseconds since 1970; $3 NULL: as before. The caller holds its lock.
UPDATE outtray.recurring
SET last_at = coalesce(times.last_at, recurring.last_at),
    next_at = times.next_at
FROM (
    SELECT
        timestamptz '1970-01-01 00:00:00+00' + $3::bigint::float8 * interval '1 microsecond' AS last_at,
        timestamptz '1970-01-01 00:00:00+00' + $4::bigint::float8 * interval '1 microsecond' AS next_at
) AS times
WHERE recurring.topic = $1::text
    AND recurring.name = $2::text
