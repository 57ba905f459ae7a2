-- Returns the suspect topics, each with for how many milliseconds it stays so at most. As in
-- `suspicion`.
SELECT
    topic.topic,
    (extract(epoch FROM least(topic.suspect_until, now() + interval '5 minutes') - now()) * 1000::numeric)::bigint AS left_ms
FROM outtray.topic
WHERE topic.suspect_until > now()
    AND topic.suspect_until <= now() + interval '5 minutes'
ORDER BY topic.topic
