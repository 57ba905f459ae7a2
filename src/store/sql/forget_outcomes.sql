-- Removes up to $1 outcomes of each length of keeping whose time is over, the oldest first; returns how many.
-- Index: outcome_ended, which it skips through by the length of keeping. One that a message still comes after stays.
WITH RECURSIVE kept AS (
    (
        SELECT outcome.kept_ms
        FROM outtray.outcome
        WHERE outcome.ended_at IS NOT NULL
        ORDER BY outcome.kept_ms
        LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT outcome.kept_ms
        FROM outtray.outcome
        WHERE outcome.ended_at IS NOT NULL
            AND outcome.kept_ms > kept.kept_ms
        ORDER BY outcome.kept_ms
        LIMIT 1
    )
    FROM kept
    WHERE kept.kept_ms IS NOT NULL
),
old AS MATERIALIZED (
    SELECT past.topic, past.id
    FROM kept
    CROSS JOIN LATERAL (
        SELECT outcome.topic, outcome.id
        FROM outtray.outcome
        WHERE outcome.ended_at IS NOT NULL
            AND outcome.kept_ms = kept.kept_ms
            AND outcome.ended_at < now() - kept.kept_ms * interval '1 millisecond'
            AND NOT EXISTS (SELECT FROM outtray.dependency WHERE dependency.on_id = outcome.id)
        ORDER BY outcome.ended_at
        LIMIT $1::bigint
    ) AS past
    WHERE kept.kept_ms IS NOT NULL
),
gone AS (
    DELETE FROM outtray.outcome
    USING old
    WHERE outcome.topic = old.topic
        AND outcome.id = old.id
        -- Not one that a redrive began anew meanwhile.
        AND outcome.ended_at IS NOT NULL
    RETURNING outcome.id
)
SELECT count(*) AS outcomes FROM gone
