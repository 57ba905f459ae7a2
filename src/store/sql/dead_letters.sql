-- Returns the $2 oldest dead letters of topic $1; or only those with the ids $3, unless that is NULL.
-- Index: dead_letter_age, or the primary key.
SELECT
    dead_letter.id, dead_letter.rank, dead_letter.attempts, dead_letter.reason, dead_letter.error,
    (extract(epoch FROM dead_letter.sent_at) * 1000000)::bigint AS sent_at_us,
    (extract(epoch FROM dead_letter.died_at) * 1000000)::bigint AS died_at_us,
    dead_letter.key, dead_letter.headers::text, dead_letter.payload::text, dead_letter.body
FROM outtray.dead_letter
WHERE dead_letter.topic = $1::text
    AND ($3::uuid[] IS NULL OR dead_letter.id = ANY ($3::uuid[]))
ORDER BY dead_letter.died_at, dead_letter.id
LIMIT $2::bigint
