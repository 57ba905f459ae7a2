-- Returns the tallies of topic $1, of the minutes that began in the last $2 microseconds, the
-- oldest first. Index: the primary key.
SELECT
    tally.topic,
    tally.minute,
    tally.done,
    tally.failed,
    tally.dead,
    tally.expired,
    tally.cancelled,
    tally.handled_us
FROM outtray.tally
WHERE tally.topic = $1::text
    AND tally.minute >= pg_catalog.ceil((extract(epoch FROM now()) * 1000000::numeric - $2::bigint::numeric) / 60000000::numeric)::bigint
ORDER BY tally.topic, tally.minute
