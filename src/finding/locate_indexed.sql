-- Returns where message $1 is, on the topics from $2 to $3, as far as an index finds it by its id:
-- among what is scheduled and the dead letters of each topic, and whatever is tracked. Index: the
-- primary keys, whose topics it skips through, message_tracked and follower_tracked.
WITH RECURSIVE waiting AS (
    (
        SELECT scheduled.topic
        FROM outtray.scheduled
        WHERE scheduled.topic >= $2::text AND scheduled.topic <= $3::text
        ORDER BY scheduled.topic
        LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT scheduled.topic
        FROM outtray.scheduled
        WHERE scheduled.topic > waiting.topic AND scheduled.topic <= $3::text
        ORDER BY scheduled.topic
        LIMIT 1
    )
    FROM waiting
    WHERE waiting.topic IS NOT NULL
),
dead AS (
    (
        SELECT dead_letter.topic
        FROM outtray.dead_letter
        WHERE dead_letter.topic >= $2::text AND dead_letter.topic <= $3::text
        ORDER BY dead_letter.topic
        LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT dead_letter.topic
        FROM outtray.dead_letter
        WHERE dead_letter.topic > dead.topic AND dead_letter.topic <= $3::text
        ORDER BY dead_letter.topic
        LIMIT 1
    )
    FROM dead
    WHERE dead.topic IS NOT NULL
)
SELECT 'scheduled' AS place, found.topic, found.rank, 0::bigint AS seq, NULL::text AS key, 0::bigint AS segment
FROM waiting
CROSS JOIN LATERAL (
    SELECT scheduled.topic, scheduled.rank
    FROM outtray.scheduled
    WHERE scheduled.topic = waiting.topic
        AND scheduled.id = $1::uuid
    OFFSET 0
) AS found
UNION ALL
SELECT 'dead', found.topic, found.rank, 0, NULL, 0
FROM dead
CROSS JOIN LATERAL (
    SELECT dead_letter.topic, dead_letter.rank
    FROM outtray.dead_letter
    WHERE dead_letter.topic = dead.topic
        AND dead_letter.id = $1::uuid
    OFFSET 0
) AS found
UNION ALL
SELECT 'ready', message.topic, message.rank, message.seq, NULL, 0
FROM outtray.message
WHERE message.id = $1::uuid
    AND message.on_end IS NOT NULL
    -- Not by the primary key, in which the topic would be all that it looks for.
    AND message.topic || '' BETWEEN $2::text AND $3::text
UNION ALL
SELECT 'behind', follower.topic, follower.rank, follower.seq, follower.key, 0
FROM outtray.follower
WHERE follower.id = $1::uuid
    AND follower.on_end IS NOT NULL
    AND follower.topic || '' BETWEEN $2::text AND $3::text
