-- Returns the numbers of topic $1: ready, scheduled, leased and dead messages and those behind others of their key, each counted up to $2 and no further, workers,
-- and the age of the oldest ready message in microseconds (NULL when there is none).
-- Index: the primary keys. A claim takes the oldest first, so the head's age is the oldest but for priorities.
SELECT
    (SELECT count(*) FROM (SELECT FROM outtray.message WHERE message.topic = $1::text LIMIT $2::bigint) AS counted) AS ready,
    (SELECT count(*) FROM (SELECT FROM outtray.scheduled WHERE scheduled.topic = $1::text AND scheduled.receipt IS NULL LIMIT $2::bigint) AS counted) AS scheduled,
    (SELECT count(*) FROM (SELECT FROM outtray.scheduled WHERE scheduled.topic = $1::text AND scheduled.receipt IS NOT NULL LIMIT $2::bigint) AS counted) AS leased,
    (SELECT count(*) FROM (SELECT FROM outtray.follower WHERE follower.topic = $1::text LIMIT $2::bigint) AS counted) AS behind,
    (SELECT count(*) FROM (SELECT FROM outtray.dead_letter WHERE dead_letter.topic = $1::text LIMIT $2::bigint) AS counted) AS dead,
    (SELECT count(*) FROM outtray.worker WHERE worker.topic = $1::text) AS receivers,
    (
        SELECT greatest(0, (extract(epoch FROM clock_timestamp() - min(head.sent_at)) * 1000000)::bigint)
        FROM (
            SELECT message.sent_at
            FROM outtray.message
            WHERE message.topic = $1::text
            ORDER BY message.rank, message.seq
            LIMIT 100
        ) AS head
        -- Without rows min() is NULL, and greatest(0, NULL) is 0.
        HAVING count(*) > 0
    ) AS oldest_us
