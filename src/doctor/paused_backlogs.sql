-- Returns the paused topics that have messages, each with how many are ready, counted up to $1, and
-- for how many milliseconds it has been paused. Index: the primary key.
SELECT
    paused.topic, paused.messages, paused.paused_ms
FROM (
    SELECT
        topic.topic,
        (SELECT count(*) FROM (SELECT FROM outtray.message WHERE message.topic = topic.topic LIMIT $1::bigint) AS counted) AS messages,
        (extract(epoch FROM
            clock_timestamp() - least(greatest(topic.paused_at, '0001-01-01 00:00:00+00'), clock_timestamp())
        ) * 1000::numeric)::bigint AS paused_ms
    FROM outtray.topic
    WHERE topic.paused_at IS NOT NULL
) AS paused
WHERE paused.messages > 0
ORDER BY paused.topic
