-- Returns, for each of the topics $1, how many messages count for its limit of length, as far as
-- that was noted, and in how many microseconds the bucket of its rate is full again: 0 if it is.
-- NULL where nothing is counted. Index: the primary keys.
SELECT
    mine.topic,
    room.used - (
        SELECT coalesce(sum(vacated.messages), 0)::bigint
        FROM outtray.vacated
        WHERE vacated.topic = mine.topic
    ) AS used,
    (
        extract(epoch FROM
            least(greatest(bucket.full_at, clock_timestamp()), '9999-12-31 00:00:00+00') - clock_timestamp()
        ) * 1000000::numeric
    )::bigint AS full_in_us
FROM pg_catalog.unnest($1::text[]) AS mine (topic)
LEFT JOIN outtray.room ON room.topic = mine.topic
LEFT JOIN outtray.bucket ON bucket.topic = mine.topic AND bucket.key = ''::text
