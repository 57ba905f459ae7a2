-- Removes the scheduled messages of topic $1 for good.
DELETE FROM outtray.scheduled
WHERE scheduled.topic = $1::text
