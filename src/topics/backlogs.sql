-- Returns the numbers of each of the topics $1: messages that are ready, scheduled, leased, behind
-- others of their key, and dead, each counted up to $2 and no further; of the first $3 in claim
-- order how many are in the hands of a transaction, and the age of the oldest in microseconds (NULL
-- when there is none); receivers, and whether it is paused or suspect. Index: the primary keys, and
-- scheduled_leased. What it reads is bounded by the number of topics, however many messages they
-- have.
WITH open AS MATERIALIZED (
    -- Who waits for a transaction has another mode.
    SELECT held.transactionid::text AS holder
    FROM pg_catalog.pg_locks AS held
    WHERE held.locktype = 'transactionid'::text AND held.mode = 'ExclusiveLock'::text AND held.granted
)
SELECT
    mine.topic,
    (SELECT count(*) FROM (SELECT FROM outtray.message WHERE message.topic = mine.topic LIMIT $2::bigint) AS counted) AS ready,
    (SELECT count(*) FROM (SELECT FROM outtray.scheduled WHERE scheduled.topic = mine.topic AND scheduled.receipt IS NULL LIMIT $2::bigint) AS counted) AS scheduled,
    (SELECT count(*) FROM (SELECT FROM outtray.scheduled WHERE scheduled.topic COLLATE "POSIX" = mine.topic AND scheduled.receipt IS NOT NULL LIMIT $2::bigint) AS counted) AS leased,
    (SELECT count(*) FROM (SELECT FROM outtray.follower WHERE follower.topic = mine.topic LIMIT $2::bigint) AS counted) AS behind,
    (SELECT count(*) FROM (SELECT FROM outtray.dead_letter WHERE dead_letter.topic = mine.topic LIMIT $2::bigint) AS counted) AS dead,
    head.held,
    (SELECT count(*) FROM outtray.worker WHERE worker.topic = mine.topic) AS receivers,
    coalesce(topic.paused_at IS NOT NULL, false) AS is_paused,
    coalesce(topic.suspect_until BETWEEN now() AND now() + interval '5 minutes', false) AS is_suspect,
    CASE
        WHEN head.first_at IS NOT NULL
        THEN (extract(epoch FROM
            clock_timestamp() - least(greatest(head.first_at, '0001-01-01 00:00:00+00'), clock_timestamp())
        ) * 1000000::numeric)::bigint
    END AS oldest_us
FROM pg_catalog.unnest($1::text[]) AS mine (topic)
LEFT JOIN outtray.topic ON topic.topic = mine.topic
CROSS JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE first.holder IN (SELECT open.holder FROM open)) AS held,
        min(first.sent_at) AS first_at
    FROM (
        SELECT
            -- Who locks a row writes its number there, and nobody wipes it out.
            message.xmax::text AS holder,
            message.sent_at
        FROM outtray.message
        WHERE message.topic = mine.topic
        ORDER BY message.rank, message.seq
        LIMIT $3::bigint
    ) AS first
) AS head
