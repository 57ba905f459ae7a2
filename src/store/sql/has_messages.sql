-- Returns whether topic $1 has a message that is ready, in work or scheduled.
-- Index: the primary keys.
SELECT EXISTS (SELECT FROM outtray.message WHERE message.topic = $1::text)
    OR EXISTS (SELECT FROM outtray.scheduled WHERE scheduled.topic = $1::text) AS has_messages
