-- Returns the members of the group that message $1 completes, as far as they have not ended for good.
-- Index: outcome_id, and the primary key.
SELECT dependency.on_id AS id
FROM outtray.outcome
JOIN outtray.dependency
    ON dependency.topic = outcome.topic
    AND dependency.id = outcome.id
WHERE outcome.id = $1::uuid
    AND outcome.members IS NOT NULL
