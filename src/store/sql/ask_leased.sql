-- Asks the holders of the leases of those of the messages $1 that are leased to give up, and notes it for the case that
-- a lease ends without a word. Returns them, but for those whose holders are at them just now.
-- Index: the primary key, which it skips through for the topics.
WITH RECURSIVE known AS (
    (SELECT scheduled.topic FROM outtray.scheduled ORDER BY scheduled.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT scheduled.topic FROM outtray.scheduled WHERE scheduled.topic > known.topic ORDER BY scheduled.topic LIMIT 1)
    FROM known
    WHERE known.topic IS NOT NULL
),
leased AS MATERIALIZED (
    SELECT scheduled.topic, scheduled.id
    FROM known
    JOIN outtray.scheduled
        ON scheduled.topic = known.topic
        AND scheduled.id = ANY ($1::uuid[])
    WHERE scheduled.receipt IS NOT NULL
    -- A holder may settle in a transaction that stays open for long, and the lanes of others are held here.
    FOR UPDATE OF scheduled SKIP LOCKED
),
asked AS (
    UPDATE outtray.scheduled
    SET is_cancelled = true
    FROM leased
    WHERE scheduled.topic = leased.topic
        AND scheduled.id = leased.id
    RETURNING scheduled.topic, scheduled.id
)
INSERT INTO outtray.cancellation (topic, id)
SELECT asked.topic, asked.id
FROM asked
ON CONFLICT (topic, id) DO UPDATE SET asked_at = excluded.asked_at
RETURNING cancellation.id
