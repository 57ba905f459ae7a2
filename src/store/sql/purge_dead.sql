-- Removes dead letters of topic $1 for good: those with the ids $2, or all when that is NULL; and records that so those
-- that are tracked ended. Returns how many.
WITH gone AS (
    DELETE FROM outtray.dead_letter
    WHERE dead_letter.topic = $1::text
        AND ($2::uuid[] IS NULL OR dead_letter.id = ANY ($2::uuid[]))
    RETURNING dead_letter.topic, dead_letter.id, dead_letter.on_end
),
ended AS (
    UPDATE outtray.outcome
    SET state = 'purged',
        ended_at = now()
    FROM gone
    WHERE outcome.topic = gone.topic
        AND outcome.id = gone.id
        AND gone.on_end IS NOT NULL
)
SELECT count(*) AS messages FROM gone
