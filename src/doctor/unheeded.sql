-- Returns messages that were cancelled $1 milliseconds ago or earlier and are still in work, as far
-- as they are among the first 2,000 of their topic, or leased. A cancellation stays for a while
-- after its message. Index: the primary keys.
WITH asked AS MATERIALIZED (
    SELECT cancellation.topic, cancellation.id, cancellation.asked_at
    FROM outtray.cancellation
    WHERE cancellation.asked_at <= clock_timestamp() - $1::bigint::float8 * '1 ms'::interval
    ORDER BY cancellation.asked_at
    LIMIT 1000
),
held AS MATERIALIZED (
    SELECT first.topic, first.id
    FROM (SELECT DISTINCT asked.topic FROM asked LIMIT 50) AS named
    CROSS JOIN LATERAL (
        SELECT message.topic, message.id
        FROM outtray.message
        WHERE message.topic = named.topic
        ORDER BY message.rank, message.seq
        LIMIT 2000
    ) AS first
    UNION ALL
    SELECT leased.topic, leased.id
    FROM asked
    CROSS JOIN LATERAL (
        SELECT scheduled.topic, scheduled.id
        FROM outtray.scheduled
        WHERE scheduled.topic = asked.topic
            AND scheduled.id = asked.id
            AND scheduled.receipt IS NOT NULL
        OFFSET 0
    ) AS leased
)
SELECT
    asked.topic,
    (extract(epoch FROM
        clock_timestamp() - least(greatest(asked.asked_at, '0001-01-01 00:00:00+00'), clock_timestamp())
    ) * 1000::numeric)::bigint AS age_ms
FROM asked
JOIN held ON held.topic = asked.topic AND held.id = asked.id
