-- Returns of the group that message $1 completes how many members it has, and how many have not ended for good; no row
-- when there is none.
-- Index: outcome_id, and the primary key.
SELECT
    outcome.members::bigint AS members,
    (
        SELECT count(*)
        FROM outtray.dependency
        WHERE dependency.topic = outcome.topic
            AND dependency.id = outcome.id
    ) AS pending
FROM outtray.outcome
WHERE outcome.id = $1::uuid
    AND outcome.members IS NOT NULL
