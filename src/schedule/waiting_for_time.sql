-- Returns up to $3 messages of topic $1 that wait for their time, by their ids from the first after
-- $2 on: not those in work under a lease, nor those that come after others. Index: the primary key.
SELECT
    scheduled.id, scheduled.attempts,
    (extract(epoch FROM least(greatest(scheduled.due_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS due_us
FROM outtray.scheduled
WHERE scheduled.topic = $1::text
    AND scheduled.id > $2::uuid
    AND scheduled.receipt IS NULL
    -- Said so that `scheduled_due`, which is over all topics, does not serve it.
    AND (scheduled.due_at < 'infinity') IS TRUE
ORDER BY scheduled.topic, scheduled.id
LIMIT $3::bigint
