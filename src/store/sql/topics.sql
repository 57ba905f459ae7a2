-- Returns every topic that has a message of any kind, or a row of its own.
-- Index: the primary keys, which it skips through: one probe for each topic, not one for each message.
WITH RECURSIVE ready AS (
    (SELECT message.topic FROM outtray.message ORDER BY message.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT message.topic FROM outtray.message WHERE message.topic > ready.topic ORDER BY message.topic LIMIT 1)
    FROM ready
    WHERE ready.topic IS NOT NULL
),
waiting AS (
    (SELECT scheduled.topic FROM outtray.scheduled ORDER BY scheduled.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT scheduled.topic FROM outtray.scheduled WHERE scheduled.topic > waiting.topic ORDER BY scheduled.topic LIMIT 1)
    FROM waiting
    WHERE waiting.topic IS NOT NULL
),
dead AS (
    (SELECT dead_letter.topic FROM outtray.dead_letter ORDER BY dead_letter.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT dead_letter.topic FROM outtray.dead_letter WHERE dead_letter.topic > dead.topic ORDER BY dead_letter.topic LIMIT 1)
    FROM dead
    WHERE dead.topic IS NOT NULL
)
SELECT known.topic
FROM (
    SELECT ready.topic FROM ready
    UNION SELECT waiting.topic FROM waiting
    UNION SELECT dead.topic FROM dead
    UNION SELECT topic.topic FROM outtray.topic
    UNION SELECT worker.topic FROM outtray.worker
) AS known
WHERE known.topic IS NOT NULL
ORDER BY known.topic
