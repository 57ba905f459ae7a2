-- Returns whether the topic $1 holds nothing and nobody receives from it: no message of any kind,
-- no entry, no receiver, no reader. Index: the primary keys; of entries the segments of this topic.
SELECT
    NOT EXISTS (SELECT FROM outtray.message WHERE message.topic = $1::text)
    AND NOT EXISTS (SELECT FROM outtray.scheduled WHERE scheduled.topic = $1::text)
    AND NOT EXISTS (SELECT FROM outtray.follower WHERE follower.topic = $1::text)
    AND NOT EXISTS (SELECT FROM outtray.dead_letter WHERE dead_letter.topic = $1::text)
    AND NOT EXISTS (SELECT FROM outtray.worker WHERE worker.topic = $1::text)
    AND NOT EXISTS (SELECT FROM outtray.recurring WHERE recurring.topic = $1::text)
    AND NOT EXISTS (SELECT FROM outtray.log_reader WHERE log_reader.topic = $1::text) AS is_free
