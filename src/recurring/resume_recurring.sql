-- Resumes the recurring message $2 of topic $1, if it is paused and still comes at the times of
-- expression $4 in time zone $5: it is sent next in $3 microseconds since 1970, or when it would
-- have been if that is NULL.
UPDATE outtray.recurring
SET paused_at = NULL,
    next_at = coalesce(times.next_at, recurring.next_at)
FROM (
    SELECT timestamptz '1970-01-01 00:00:00+00' + $3::bigint::float8 * interval '1 microsecond' AS next_at
) AS times
WHERE recurring.topic = $1::text
    AND recurring.name = $2::text
    AND recurring.paused_at IS NOT NULL
    AND recurring.cron = $4::text
    AND recurring.time_zone = $5::text
