-- Returns the minute that it is, and the tallies of topic $1 for each of the last $3 minutes, from
-- minute $2 on. Where there are none, one row without them. Index: the primary key.
SELECT
    clock.this_minute,
    found.minute,
    coalesce(found.done, 0::bigint) AS done,
    coalesce(found.failed, 0::bigint) AS failed,
    coalesce(found.dead, 0::bigint) AS dead,
    coalesce(found.expired, 0::bigint) AS expired,
    coalesce(found.cancelled, 0::bigint) AS cancelled,
    coalesce(found.handled_us, 0::bigint) AS handled_us
FROM (SELECT pg_catalog.floor(extract(epoch FROM now()) / 60::numeric)::bigint AS this_minute) AS clock
LEFT JOIN (
    SELECT tally.minute, tally.done, tally.failed, tally.dead, tally.expired, tally.cancelled, tally.handled_us
    FROM outtray.tally
    WHERE tally.topic = $1::text
        AND tally.minute >= greatest(
            $2::bigint, pg_catalog.floor(extract(epoch FROM now()) / 60::numeric)::bigint - $3::bigint
        )
) AS found ON true
