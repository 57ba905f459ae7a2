-- Removes dead letters of topic $1 for good: those with the ids $2, or all when that is NULL.
DELETE FROM outtray.dead_letter
WHERE dead_letter.topic = $1::text
    AND ($2::uuid[] IS NULL OR dead_letter.id = ANY ($2::uuid[]))
