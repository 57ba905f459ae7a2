-- Adds to the tallies of the topics $1, in the minute that it is: $2 messages that were handled, $3
-- attempts that failed, $4 dead letters, $5 messages that expired, $6 that were cancelled, and $7
-- microseconds that handlers took. In the order of the topics, so that no two processes wait for
-- each other. Index: the primary key.
INSERT INTO outtray.tally (topic, minute, done, failed, dead, expired, cancelled, handled_us)
SELECT
    counted.topic,
    pg_catalog.floor(extract(epoch FROM clock_timestamp()) / 60::numeric)::bigint,
    counted.done,
    counted.failed,
    counted.dead,
    counted.expired,
    counted.cancelled,
    counted.handled_us
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
    AS counted (topic, done, failed, dead, expired, cancelled, handled_us)
ORDER BY counted.topic COLLATE "C"
ON CONFLICT (topic, minute) DO UPDATE
SET
    done = tally.done + excluded.done,
    failed = tally.failed + excluded.failed,
    dead = tally.dead + excluded.dead,
    expired = tally.expired + excluded.expired,
    cancelled = tally.cancelled + excluded.cancelled,
    handled_us = tally.handled_us + excluded.handled_us
