-- Looks at the $2 dead letters of topic $1 that died last. Returns the $3 largest groups of those
-- that died for the same reason with errors of the same shape, the largest first; of each how many,
-- when the first and the last of them died, and the last one. Index: dead_letter_age, from its end.
WITH looked_at AS MATERIALIZED (
    SELECT dead_letter.id, dead_letter.reason, dead_letter.error, dead_letter.died_at
    FROM outtray.dead_letter
    WHERE dead_letter.topic || '' = $1::text
    ORDER BY dead_letter.died_at DESC
    LIMIT $2::bigint
),
shaped AS MATERIALIZED (
    SELECT looked_at.id, looked_at.reason, looked_at.died_at, looked_at.error, outtray.error_shape(looked_at.error) AS shape
    FROM looked_at
)
SELECT
    shaped.reason, shaped.shape, count(*) AS messages,
    (array_agg(shaped.id ORDER BY shaped.died_at DESC))[1] AS last_id,
    (array_agg(shaped.error ORDER BY shaped.died_at DESC))[1] AS last_error,
    (extract(epoch FROM least(greatest(min(shaped.died_at), '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS first_us,
    (extract(epoch FROM least(greatest(max(shaped.died_at), '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS last_us,
    (SELECT count(*) FROM looked_at) AS looked_at
FROM shaped
GROUP BY shaped.reason, shaped.shape
ORDER BY messages DESC, last_us DESC
LIMIT $3::bigint
