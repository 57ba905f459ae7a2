-- Removes the scheduled messages of topic $1 for good, but for those in work under a lease.
DELETE FROM outtray.scheduled
WHERE scheduled.topic = $1::text
    AND scheduled.receipt IS NULL
