-- Asks the holders of the leases of those of the messages $1 that are leased, of topics $2, to give
-- up, and notes it for the case that a lease ends without a word. Returns them, but for those whose
-- holders are at them just now. Index: the primary key.
WITH leased AS MATERIALIZED (
    SELECT found.topic, asked.id
    FROM pg_catalog.unnest($2::text[]) AS known (topic)
    CROSS JOIN pg_catalog.unnest($1::uuid[]) AS asked (id)
    CROSS JOIN LATERAL (
        SELECT scheduled.topic
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
    -- By all of the key, as in `acknowledge`.
    UPDATE outtray.scheduled
    SET is_cancelled = true
    FROM (
        SELECT leased.topic, leased.id
        FROM leased
        -- Always so, as in `bury`; and once more, since each topic is asked for each message. Of a
        -- column alone the planner may know better.
        WHERE leased.id BETWEEN '00000000-0000-0000-0000-000000000000' AND 'ffffffff-ffff-ffff-ffff-ffffffffffff'
            AND leased.topic || '' >= ''
        OFFSET 0
    ) AS leased
    WHERE scheduled.topic = ANY (ARRAY[leased.topic])
        AND scheduled.id = leased.id
    RETURNING scheduled.topic, scheduled.id
)
INSERT INTO outtray.cancellation (topic, id)
SELECT asked.topic, asked.id
FROM asked
ON CONFLICT (topic, id) DO UPDATE SET asked_at = excluded.asked_at
RETURNING cancellation.id
