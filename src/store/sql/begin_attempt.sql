-- Counts a delivery of message $2 of topic $1 before its handler runs; returns how often that was done.
INSERT INTO outtray.attempt (topic, id, attempts)
VALUES ($1::text, $2::uuid, 1)
ON CONFLICT (topic, id) DO UPDATE
SET attempts = least(attempt.attempts, 32766) + 1, begun_at = now()
RETURNING attempts
