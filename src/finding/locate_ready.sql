-- Returns where message $1 is among the ready ones of the topics from $2 to $3, looked for where a
-- message of its time should be: ids of version 7 are in the order of their times, and so are
-- numbers, but for retries and for transactions at the same time. Of each topic and rank, a
-- thousand at most, it halves the numbers until $4 are left, and reads those with $4 on either
-- side. Index: the primary key.
WITH RECURSIVE line AS (
    (
        SELECT message.topic, message.rank
        FROM outtray.message
        WHERE message.topic >= $2::text AND message.topic <= $3::text
        ORDER BY message.topic, message.rank
        LIMIT 1
    )
    UNION ALL
    SELECT next.topic, next.rank
    FROM line
    CROSS JOIN LATERAL (
        SELECT message.topic, message.rank
        FROM outtray.message
        WHERE (message.topic, message.rank) > (line.topic, line.rank)
            AND message.topic <= $3::text
        ORDER BY message.topic, message.rank
        LIMIT 1
    ) AS next
),
known AS MATERIALIZED (
    SELECT line.topic, line.rank FROM line LIMIT 1000
)
SELECT 'ready' AS place, known.topic, known.rank, found.seq, NULL::text AS key, 0::bigint AS segment
FROM known
CROSS JOIN LATERAL (
    WITH RECURSIVE span AS (
        SELECT
            (
                SELECT message.seq FROM outtray.message
                WHERE message.topic = known.topic AND message.rank = known.rank
                ORDER BY message.topic, message.rank, message.seq
                LIMIT 1
            ) AS low,
            (
                SELECT message.seq FROM outtray.message
                WHERE message.topic = known.topic AND message.rank = known.rank
                ORDER BY message.topic DESC, message.rank DESC, message.seq DESC
                LIMIT 1
            ) AS high,
            1 AS step
        UNION ALL
        SELECT
            CASE WHEN probe.id < $1::uuid THEN least(probe.seq, span.high) ELSE span.low END,
            CASE
                WHEN probe.id < $1::uuid THEN span.high
                WHEN probe.id = $1::uuid THEN probe.seq
                ELSE span.low + (span.high - span.low) / 2
            END,
            span.step + 1
        FROM span
        CROSS JOIN LATERAL (
            SELECT message.seq, message.id
            FROM outtray.message
            WHERE message.topic = known.topic
                AND message.rank = known.rank
                AND message.seq >= span.low + (span.high - span.low) / 2
            ORDER BY message.topic, message.rank, message.seq
            LIMIT 1
        ) AS probe
        WHERE span.high - span.low > $4::bigint
            AND span.step < 70
    )
    SELECT span.low, span.high FROM span ORDER BY span.step DESC LIMIT 1
) AS near
CROSS JOIN LATERAL (
    SELECT message.seq
    FROM outtray.message
    WHERE message.topic = known.topic
        AND message.rank = known.rank
        AND message.seq BETWEEN near.low - $4::bigint AND near.high + $4::bigint
        AND message.id = $1::uuid
    LIMIT 1
) AS found
