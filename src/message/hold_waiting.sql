-- Locks message $2 of topic $1, if it waits for its next attempt.
-- Index: the primary key.
SELECT scheduled.attempts
FROM outtray.scheduled
WHERE scheduled.topic = $1::text
    AND scheduled.id = $2::uuid
    AND scheduled.receipt IS NULL
FOR UPDATE
