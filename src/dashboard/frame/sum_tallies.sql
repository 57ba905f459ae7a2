-- Returns the minute that it is, and the sums of the tallies of all topics for each of the last $2
-- minutes, from minute $1 on. Where there are none, one row without them. Index: tally_minute.
SELECT
    clock.this_minute,
    summed.minute,
    coalesce(summed.done, 0::bigint) AS done,
    coalesce(summed.failed, 0::bigint) AS failed,
    coalesce(summed.dead, 0::bigint) AS dead,
    coalesce(summed.expired, 0::bigint) AS expired,
    coalesce(summed.cancelled, 0::bigint) AS cancelled,
    coalesce(summed.handled_us, 0::bigint) AS handled_us
FROM (SELECT pg_catalog.floor(extract(epoch FROM now()) / 60::numeric)::bigint AS this_minute) AS clock
LEFT JOIN (
    SELECT
        tally.minute,
        sum(tally.done)::bigint AS done,
        sum(tally.failed)::bigint AS failed,
        sum(tally.dead)::bigint AS dead,
        sum(tally.expired)::bigint AS expired,
        sum(tally.cancelled)::bigint AS cancelled,
        sum(tally.handled_us)::bigint AS handled_us
    FROM outtray.tally
    WHERE tally.minute >= greatest(
        $1::bigint, pg_catalog.floor(extract(epoch FROM now()) / 60::numeric)::bigint - $2::bigint
    )
    GROUP BY tally.minute
) AS summed ON true
