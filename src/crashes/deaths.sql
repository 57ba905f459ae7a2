-- Returns which of messages $2 of topic $1 were in hand when a process died, as far as that is
-- counted (no `holder`): in how many deaths, and whether the message was alone in one of them. And
-- which are in the hands of a receiver other than $3. A message is free, so whoever holds it is
-- dead, or is about to let go of it. It is dead for all that its row says (`is_dead`) if it has
-- none any more, or if it holds no advisory lock and was not seen for $4 seconds. If it holds one
-- (`has_lock`), that has to be tried. Index: the primary keys. There are as many hands as careful
-- workers.
WITH held AS MATERIALIZED (
    SELECT hand.holder, held.id, bool_or(hand.is_alone) AS is_alone
    FROM outtray.hand
    CROSS JOIN LATERAL pg_catalog.unnest(hand.ids) AS held (id)
    WHERE hand.topic = $1::text
        AND hand.holder <> $3::bigint
        AND held.id = ANY ($2::uuid[])
    GROUP BY hand.holder, held.id
),
holders AS MATERIALIZED (
    SELECT
        holder.id,
        coalesce(
            NOT known.holds_lock AND known.seen_at < now() - $4::bigint::float8 * interval '1 second', true
        ) AS is_dead,
        coalesce(known.holds_lock, false) AS has_lock
    FROM (SELECT DISTINCT held.holder AS id FROM held) AS holder
    LEFT JOIN LATERAL (
        SELECT worker.holds_lock, worker.seen_at
        FROM outtray.worker
        WHERE worker.topic = $1::text
            AND worker.id = holder.id
        OFFSET 0
    ) AS known ON true
)
SELECT
    counted.id, counted.attempts::bigint AS deaths, counted.is_certain,
    NULL::bigint AS holder, true AS is_dead, false AS has_lock
FROM pg_catalog.unnest($2::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT attempt.id, attempt.attempts, attempt.is_certain
    FROM outtray.attempt
    WHERE attempt.topic = $1::text
        AND attempt.id = asked.id
    OFFSET 0
) AS counted
UNION ALL
SELECT held.id, 1 AS deaths, held.is_alone AS is_certain, held.holder, holders.is_dead, holders.has_lock
FROM held
JOIN holders ON holders.id = held.holder
