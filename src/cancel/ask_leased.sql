-- Asks the holders of the leases of those of the messages $1 that are leased to give up, and notes
-- it for the case that a lease ends without a word. Returns them, but for those whose holders are
-- at them just now. Index: the primary key, which it skips through for the topics.
WITH RECURSIVE known AS (
    (SELECT scheduled.topic FROM outtray.scheduled ORDER BY scheduled.topic LIMIT 1)
    UNION ALL
    SELECT (SELECT scheduled.topic FROM outtray.scheduled WHERE scheduled.topic > known.topic ORDER BY scheduled.topic LIMIT 1)
    FROM known
    WHERE known.topic IS NOT NULL
),
leased AS MATERIALIZED (
    SELECT found.topic, found.id, found.place
    FROM known
    CROSS JOIN pg_catalog.unnest($1::uuid[]) AS asked (id)
    CROSS JOIN LATERAL (
        SELECT scheduled.topic, scheduled.id, scheduled.ctid AS place
        FROM outtray.scheduled
        WHERE scheduled.topic = known.topic
            AND scheduled.id = asked.id
            AND (scheduled.receipt IS NOT NULL) IS TRUE
        -- A holder may settle in a transaction that stays open for long, and the lanes of others
        -- are held here.
        FOR UPDATE SKIP LOCKED
    ) AS found
),
asked AS (
    UPDATE outtray.scheduled
    SET is_cancelled = true
    WHERE scheduled.ctid = ANY (ARRAY(SELECT leased.place FROM leased))
    RETURNING scheduled.topic, scheduled.id
)
INSERT INTO outtray.cancellation (topic, id)
SELECT asked.topic, asked.id
FROM asked
ON CONFLICT (topic, id) DO UPDATE SET asked_at = excluded.asked_at
RETURNING cancellation.id
