-- Returns the tallies of all topics, of the minutes that began in the last $1 microseconds, by
-- topic and minute. Index: tally_minute.
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
WHERE tally.minute + 0 >= pg_catalog.ceil((extract(epoch FROM now()) * 1000000::numeric - $1::bigint::numeric) / 60000000::numeric)::bigint
ORDER BY tally.topic, tally.minute
