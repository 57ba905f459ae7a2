-- Returns the first $3 recurring messages after name $2 of topic $1 that are due in over half a
-- minute, their last runs, and the time now. Index: the primary key. One at infinity was put there
-- by a hand, and stays.
SELECT
    recurring.topic, recurring.name, recurring.cron, recurring.time_zone,
    (extract(epoch FROM least(greatest(recurring.next_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS next_us,
    CASE
        WHEN recurring.last_at IS NOT NULL
        THEN (extract(epoch FROM least(greatest(recurring.last_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint
    END AS last_us,
    (extract(epoch FROM clock_timestamp()) * 1000000::numeric)::bigint AS now_us
FROM outtray.recurring
WHERE (recurring.topic, recurring.name) > ($1::text, $2::text)
    AND recurring.next_at > now() + interval '30 seconds'
    AND recurring.next_at < 'infinity'
    AND recurring.paused_at IS NULL
ORDER BY recurring.topic, recurring.name
LIMIT $3::bigint
