-- Returns which of the keys $2 have messages in topic $1, those that a reader of a log set aside,
-- and one NULL if any key has. If $3 is 1, dead letters count, too: the topic's settings hold what
-- comes after them. Indexes: the primary key of lanes, dead_letter_key.
SELECT asked.key
FROM pg_catalog.unnest($2::text[]) AS asked (key)
WHERE EXISTS (
        SELECT FROM outtray.lane
        WHERE lane.topic = $1::text AND lane.key = asked.key
        OFFSET 0
    )
    OR (
        $3::bigint = 1
        AND EXISTS (
            SELECT FROM outtray.dead_letter
            WHERE dead_letter.topic COLLATE "POSIX" = $1::text AND dead_letter.key = asked.key AND dead_letter.seq IS NOT NULL
            OFFSET 0
        )
    )
UNION ALL
SELECT NULL::text
-- Not EXISTS, for which all of the topic may be read.
WHERE (
        SELECT lane.topic FROM outtray.lane WHERE lane.topic = $1::text ORDER BY lane.key LIMIT 1
    ) IS NOT NULL
