-- Removes the scheduled messages of topic $1 for good with what they wait for, and records that so those that are
-- tracked ended. Returns how many.
WITH gone AS (
    DELETE FROM outtray.scheduled
    WHERE scheduled.topic = $1::text
        AND scheduled.receipt IS NULL
    RETURNING scheduled.topic, scheduled.id, scheduled.on_end
),
ended AS (
    UPDATE outtray.outcome
    SET state = 'purged',
        ended_at = now()
    FROM gone
    WHERE outcome.topic = gone.topic
        AND outcome.id = gone.id
        AND gone.on_end IS NOT NULL
),
cleared AS (
    DELETE FROM outtray.dependency
    USING gone
    WHERE dependency.topic = gone.topic
        AND dependency.id = gone.id
)
SELECT count(*) AS messages FROM gone
