-- Returns of each sequence that numbers rows whether it is behind them, and the largest number that
-- is there. Numbers beyond 2^62 are from a hand. Index: the primary keys and dead_letter_key, which
-- it skips through: one probe for each rank or key. Of `scheduled` those with a place, which two
-- indexes name.
WITH RECURSIVE ranks AS (
    (
        SELECT message.topic, message.rank
        FROM outtray.message
        ORDER BY message.topic, message.rank
        LIMIT 1
    )
    UNION ALL
    SELECT next.topic, next.rank
    FROM ranks
    CROSS JOIN LATERAL (
        SELECT message.topic, message.rank
        FROM outtray.message
        WHERE (message.topic, message.rank) > (ranks.topic, ranks.rank)
        ORDER BY message.topic, message.rank
        LIMIT 1
    ) AS next
),
lines AS (
    (
        SELECT follower.topic, follower.key
        FROM outtray.follower
        ORDER BY follower.topic, follower.key
        LIMIT 1
    )
    UNION ALL
    SELECT next.topic, next.key
    FROM lines
    CROSS JOIN LATERAL (
        SELECT follower.topic, follower.key
        FROM outtray.follower
        WHERE (follower.topic, follower.key) > (lines.topic, lines.key)
        ORDER BY follower.topic, follower.key
        LIMIT 1
    ) AS next
),
poisoned AS (
    (
        SELECT dead_letter.topic, dead_letter.key
        FROM outtray.dead_letter
        WHERE dead_letter.key IS NOT NULL
        ORDER BY dead_letter.topic COLLATE "POSIX", dead_letter.key
        LIMIT 1
    )
    UNION ALL
    SELECT next.topic, next.key
    FROM poisoned
    CROSS JOIN LATERAL (
        SELECT dead_letter.topic, dead_letter.key
        FROM outtray.dead_letter
        WHERE dead_letter.key IS NOT NULL
            AND (dead_letter.topic COLLATE "POSIX", dead_letter.key) > (poisoned.topic, poisoned.key)
        ORDER BY dead_letter.topic COLLATE "POSIX", dead_letter.key
        LIMIT 1
    ) AS next
),
largest AS (
    SELECT 'message_seq' AS name, greatest(
        (
            SELECT max(last.seq)
            FROM ranks
            CROSS JOIN LATERAL (
                SELECT message.seq
                FROM outtray.message
                WHERE message.topic = ranks.topic
                    AND message.rank = ranks.rank
                    AND message.seq < 4611686018427387904
                ORDER BY message.seq DESC
                LIMIT 1
            ) AS last
        ),
        (
            SELECT max(last.seq)
            FROM lines
            CROSS JOIN LATERAL (
                SELECT follower.seq
                FROM outtray.follower
                WHERE follower.topic = lines.topic
                    AND follower.key = lines.key
                    AND follower.seq < 4611686018427387904
                ORDER BY follower.seq DESC
                LIMIT 1
            ) AS last
        ),
        (
            SELECT max(last.seq)
            FROM poisoned
            CROSS JOIN LATERAL (
                SELECT dead_letter.seq
                FROM outtray.dead_letter
                WHERE dead_letter.topic COLLATE "POSIX" = poisoned.topic
                    AND dead_letter.key = poisoned.key
                    AND dead_letter.seq < 4611686018427387904
                ORDER BY dead_letter.seq DESC
                LIMIT 1
            ) AS last
        ),
        (
            SELECT max(scheduled.seq)
            FROM outtray.scheduled
            WHERE scheduled.receipt IS NOT NULL
                AND scheduled.seq < 4611686018427387904
        ),
        (
            SELECT max(scheduled.seq)
            FROM outtray.scheduled
            WHERE scheduled.key IS NOT NULL
                AND scheduled.seq IS NOT NULL
                AND scheduled.seq < 4611686018427387904
        )
    ) AS number
    UNION ALL
    SELECT 'worker_seq', max(worker.id)
    FROM outtray.worker
    WHERE worker.id < 4611686018427387904
    UNION ALL
    SELECT 'vacated_seq', max(vacated.id)
    FROM outtray.vacated
    WHERE vacated.id < 4611686018427387904
    UNION ALL
    -- The entries of one that is in no tick yet are as many as fit into the margin.
    SELECT 'log_seq', max(last.high)
    FROM outtray.log
    CROSS JOIN LATERAL (
        SELECT log_tick.high
        FROM outtray.log_tick
        WHERE log_tick.topic = log.topic
        ORDER BY log_tick.tick DESC
        LIMIT 1
    ) AS last
    UNION ALL
    SELECT 'log_segment_seq', max(log_segment.segment)
    FROM outtray.log_segment
),
next AS (
    SELECT 'message_seq' AS name, message_seq.last_value + CASE WHEN message_seq.is_called THEN 1 ELSE 0 END AS number
    FROM outtray.message_seq
    UNION ALL
    SELECT 'worker_seq', worker_seq.last_value + CASE WHEN worker_seq.is_called THEN 1 ELSE 0 END
    FROM outtray.worker_seq
    UNION ALL
    SELECT 'vacated_seq', vacated_seq.last_value + CASE WHEN vacated_seq.is_called THEN 1 ELSE 0 END
    FROM outtray.vacated_seq
    UNION ALL
    SELECT 'log_seq', log_seq.last_value + CASE WHEN log_seq.is_called THEN 1 ELSE 0 END
    FROM outtray.log_seq
    UNION ALL
    SELECT 'log_segment_seq', log_segment_seq.last_value + CASE WHEN log_segment_seq.is_called THEN 1 ELSE 0 END
    FROM outtray.log_segment_seq
)
SELECT next.name, largest.number
FROM next
JOIN largest ON largest.name = next.name
WHERE next.number <= largest.number
