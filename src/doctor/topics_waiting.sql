-- Returns topics with messages that are ready or in work, each with how long ago in milliseconds
-- the oldest was sent of the first hundred of each rank that never failed, whether it is paused,
-- and whether it is a log. Index: the primary key, through whose topics and ranks it skips, as far
-- as the 2,000th.
WITH RECURSIVE lines AS (
    (
        SELECT message.topic, message.rank
        FROM outtray.message
        ORDER BY message.topic, message.rank
        LIMIT 1
    )
    UNION ALL
    SELECT next.topic, next.rank
    FROM lines
    CROSS JOIN LATERAL (
        SELECT message.topic, message.rank
        FROM outtray.message
        WHERE (message.topic, message.rank) > (lines.topic, lines.rank)
        ORDER BY message.topic, message.rank
        LIMIT 1
    ) AS next
),
heads AS (
    SELECT line.topic, min(first.sent_at) AS sent_at
    FROM (SELECT lines.topic, lines.rank FROM lines LIMIT 2000) AS line
    LEFT JOIN LATERAL (
        SELECT message.sent_at, message.attempts
        FROM outtray.message
        WHERE message.topic = line.topic
            AND message.rank = line.rank
        ORDER BY message.seq
        LIMIT 100
    ) AS first ON first.attempts <= 0::smallint
    GROUP BY line.topic
)
SELECT
    heads.topic,
    (extract(epoch FROM
        clock_timestamp() - least(greatest(heads.sent_at, '0001-01-01 00:00:00+00'), clock_timestamp())
    ) * 1000::numeric)::bigint AS oldest_ms,
    topic.paused_at IS NOT NULL AS is_paused,
    coalesce(topic.is_log, false) AS is_log
FROM heads
LEFT JOIN outtray.topic ON topic.topic = heads.topic
ORDER BY heads.topic
