-- Returns the topics of which something waits for its time, for others, or for the end of a lease.
-- A statement of its own: where tables are distributed, no other may be recursive and change them.
-- Index: the primary key, which it skips through.
WITH RECURSIVE known AS (
    (SELECT scheduled.topic FROM outtray.scheduled ORDER BY scheduled.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT scheduled.topic FROM outtray.scheduled WHERE scheduled.topic > known.topic ORDER BY scheduled.topic LIMIT 1)
    FROM known
    WHERE known.topic IS NOT NULL
)
SELECT known.topic
FROM known
WHERE known.topic IS NOT NULL
