-- Removes the leased message $2 of topic $1 for good. The caller holds its lock, and its receipt $3
-- was right: fails if it is not there. Index: the primary key.
WITH removed AS (
    DELETE FROM outtray.scheduled
    WHERE scheduled.topic = $1::text
        AND scheduled.id = $2::uuid
        AND (scheduled.receipt = $3::uuid) IS TRUE
    RETURNING scheduled.id
)
SELECT outtray.miscounted(0, 1)
WHERE NOT EXISTS (SELECT FROM removed)
