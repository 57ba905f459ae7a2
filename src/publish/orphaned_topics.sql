-- Returns up to $1 topics that have messages and were made for ephemeral subscriptions or replies,
-- and whose holders are gone: what was committed after they were removed. Only names that were made
-- for those. Index: the primary keys, which it skips through, from the first such name to the last.
WITH RECURSIVE ready AS (
    (SELECT message.topic FROM outtray.message
        WHERE message.topic > 'outtray.ephemeral.' AND message.topic < 'outtray.reply/'
        ORDER BY message.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT message.topic FROM outtray.message
        WHERE message.topic > ready.topic AND message.topic < 'outtray.reply/'
        ORDER BY message.topic LIMIT 1)
    FROM ready
    WHERE ready.topic IS NOT NULL
),
waiting AS (
    (SELECT scheduled.topic FROM outtray.scheduled
        WHERE scheduled.topic > 'outtray.ephemeral.' AND scheduled.topic < 'outtray.reply/'
        ORDER BY scheduled.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT scheduled.topic FROM outtray.scheduled
        WHERE scheduled.topic > waiting.topic AND scheduled.topic < 'outtray.reply/'
        ORDER BY scheduled.topic LIMIT 1)
    FROM waiting
    WHERE waiting.topic IS NOT NULL
),
behind AS (
    (SELECT follower.topic FROM outtray.follower
        WHERE follower.topic > 'outtray.ephemeral.' AND follower.topic < 'outtray.reply/'
        ORDER BY follower.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT follower.topic FROM outtray.follower
        WHERE follower.topic > behind.topic AND follower.topic < 'outtray.reply/'
        ORDER BY follower.topic LIMIT 1)
    FROM behind
    WHERE behind.topic IS NOT NULL
),
dead AS (
    (SELECT dead_letter.topic FROM outtray.dead_letter
        WHERE dead_letter.topic > 'outtray.ephemeral.' AND dead_letter.topic < 'outtray.reply/'
        ORDER BY dead_letter.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT dead_letter.topic FROM outtray.dead_letter
        WHERE dead_letter.topic > dead.topic AND dead_letter.topic < 'outtray.reply/'
        ORDER BY dead_letter.topic LIMIT 1)
    FROM dead
    WHERE dead.topic IS NOT NULL
)
SELECT found.topic
FROM (
    SELECT ready.topic FROM ready
    UNION SELECT waiting.topic FROM waiting
    UNION SELECT behind.topic FROM behind
    UNION SELECT dead.topic FROM dead
) AS found
WHERE (
        found.topic ~ '^outtray[.]ephemeral[.][0-9a-f]{32}' AND length(found.topic) = 50
        OR found.topic ~ '^outtray[.]reply[.][0-9a-f]{32}' AND length(found.topic) = 46
    )
    AND NOT EXISTS (SELECT FROM outtray.subscription WHERE subscription.topic = found.topic)
LIMIT $1::bigint
