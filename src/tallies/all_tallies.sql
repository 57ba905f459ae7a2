-- Returns the tallies of all topics, of the minutes that began in the last $1 microseconds, by topic
-- and minute. Index: tally_minute.
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
WHERE tally.minute >= pg_catalog.ceil((extract(epoch FROM statement_timestamp()) * 1000000 - $1::bigint) / 60000000)::bigint
ORDER BY tally.topic, tally.minute
