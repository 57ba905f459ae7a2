-- Returns for how many milliseconds topic $1 stays suspect; no row when it is not. Nobody is
-- suspected for as long as five minutes: what lies further away was written before the clock was
-- set back. Index: the primary key.
SELECT (extract(epoch FROM least(topic.suspect_until, now() + interval '5 minutes') - now())::float8 * 1000::float8)::bigint
    AS suspect_ms
FROM outtray.topic
WHERE topic.topic = $1::text
    AND topic.suspect_until > now()
    AND topic.suspect_until <= now() + interval '5 minutes'
