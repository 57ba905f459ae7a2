-- Returns the receivers of topic $1 other than $2 that may have messages in hand, dead or alive.
-- Index: the primary key.
SELECT worker.id
FROM outtray.worker
WHERE worker.topic = $1::text
    AND worker.id <> ALL ($2::bigint[])
    AND worker.shift % 2::bigint = 1::bigint
