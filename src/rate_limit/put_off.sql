-- Returns the keys of up to $4 messages of topic $1 that were put off for want of a token, and say
-- $3, from the first key after $2 on. Index: scheduled_key, in its order.
SELECT scheduled.key
FROM outtray.scheduled
WHERE scheduled.topic COLLATE "POSIX" = $1::text
    AND scheduled.key > $2::text
    AND scheduled.seq IS NOT NULL
    AND (scheduled.receipt IS NULL AND scheduled.error = $3::text) IS TRUE
ORDER BY scheduled.topic COLLATE "POSIX", scheduled.key
LIMIT $4::bigint
