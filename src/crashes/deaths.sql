-- Returns which of messages $2 of topic $1 were in hand when a process died, as far as that is
-- counted, or are in the hands of a receiver other than $3: how many deaths that makes, whether the
-- message was alone in one of them, and whether a holder lives for all that is known. A message is
-- free, so whoever holds it is dead (its lock (namespace $4 and id, mixed) is free, it has no row
-- any more, or it has none of the lock and was not seen for $5 seconds), or is about to let go of
-- it. Index: the primary keys. There are as many hands as careful workers.
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
        coalesce((
            SELECT CASE
                WHEN worker.holds_lock THEN pg_try_advisory_xact_lock_shared($4::bigint # worker.id)
                ELSE worker.seen_at < now() - $5::bigint::float8 * interval '1 second'
            END
            FROM outtray.worker
            WHERE worker.topic = $1::text
                AND worker.id = holder.id
        ), true) AS is_dead
    FROM (SELECT DISTINCT held.holder AS id FROM held) AS holder
)
SELECT counted.id, counted.attempts::bigint AS deaths, counted.is_certain, false AS is_undecided
FROM pg_catalog.unnest($2::uuid[]) AS asked (id)
CROSS JOIN LATERAL (
    SELECT attempt.id, attempt.attempts, attempt.is_certain
    FROM outtray.attempt
    WHERE attempt.topic = $1::text
        AND attempt.id = asked.id
    OFFSET 0
) AS counted
UNION ALL
SELECT
    held.id,
    CASE WHEN holders.is_dead THEN 1 ELSE 0 END::bigint AS deaths,
    held.is_alone AND holders.is_dead AS is_certain,
    NOT holders.is_dead AS is_undecided
FROM held
JOIN holders ON holders.id = held.holder
