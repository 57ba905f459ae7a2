-- Drops what is counted of messages $2 of topic $1: their deliveries ended, well or not.
-- Index: the primary key.
DELETE FROM outtray.attempt
WHERE attempt.topic = $1::text
    AND attempt.id = ANY ($2::uuid[])
