-- Returns how the tracked message $1 ended, or that it has not ended, and how long that is kept;
-- NULLs if nothing is known of it. And the time. Index: outcome_id.
SELECT
    (extract(epoch FROM least(clock_timestamp(), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS now_us,
    known.topic, known.state, known.ended_at_us, known.kept_ms
FROM (SELECT 1 AS one) AS always
LEFT JOIN LATERAL (
    SELECT
        outcome.topic, outcome.state,
        CASE WHEN outcome.ended_at IS NOT NULL THEN (extract(epoch FROM least(greatest(outcome.ended_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint END AS ended_at_us,
        outcome.kept_ms
    FROM outtray.outcome
    WHERE uuid_send(outcome.id) = uuid_send($1::uuid)
) AS known ON true
LIMIT 1
