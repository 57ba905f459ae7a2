-- Removes dead letters of topic $1 for good: those with the ids $2, or all when that is NULL. Returns how many, and those
-- whose end matters to others. Keys that they held become stalled.
WITH taken AS (
    DELETE FROM outtray.dead_letter
    WHERE dead_letter.topic = $1::text
        AND ($2::uuid[] IS NULL OR dead_letter.id = ANY ($2::uuid[]))
    RETURNING dead_letter.topic, dead_letter.id, dead_letter.key, dead_letter.on_end
),
stuck AS (
    INSERT INTO outtray.stalled (topic, key, said_by)
    SELECT DISTINCT ON (taken.topic, taken.key) taken.topic, taken.key, taken.id
    FROM taken
    WHERE taken.key IS NOT NULL
)
SELECT NULL AS id, NULL::smallint AS on_end, count(*) AS messages
FROM taken
UNION ALL
-- A dead letter takes no room in a bounded topic (2): it gave that back when it died.
SELECT taken.id, (taken.on_end & 1)::smallint AS on_end, 0 AS messages
FROM taken
WHERE taken.on_end & 1 <> 0
