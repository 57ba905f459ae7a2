-- Ends the pause of topic $1.
UPDATE outtray.topic
SET paused_at = NULL,
    changed_at = clock_timestamp()
WHERE topic.topic = $1::text
