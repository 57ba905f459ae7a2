-- Removes up to $2 notes of room in the topics $1, as far as still nobody counts there. A statement
-- after `uncounted_topics`: where tables are distributed, nothing may be removed by a recursion.
-- Index: the primary keys.
WITH lost AS MATERIALIZED (
    SELECT found.topic, found.id
    FROM pg_catalog.unnest($1::text[]) AS mine (topic)
    CROSS JOIN LATERAL (
        SELECT vacated.topic, vacated.id
        FROM outtray.vacated
        WHERE vacated.topic = mine.topic
        ORDER BY vacated.topic, vacated.id
        LIMIT $2::bigint
        FOR UPDATE SKIP LOCKED
    ) AS found
    WHERE NOT EXISTS (SELECT FROM outtray.room WHERE room.topic = mine.topic)
    LIMIT $2::bigint
)
DELETE FROM outtray.vacated
USING lost
WHERE vacated.topic = ANY (ARRAY[lost.topic])
    AND vacated.id = lost.id
