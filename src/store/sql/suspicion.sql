-- Returns for how many milliseconds topic $1 stays suspect; no row when it is not.
-- Index: the primary key.
SELECT (extract(epoch FROM topic.suspect_until - now())::float8 * 1000::float8)::bigint AS suspect_ms
FROM outtray.topic
WHERE topic.topic = $1::text
    AND topic.suspect_until > now()
