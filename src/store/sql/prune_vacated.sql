-- Removes up to $1 notes of topics that nobody counts: they are not bounded any more.
WITH lost AS MATERIALIZED (
    SELECT vacated.topic, vacated.id
    FROM outtray.vacated
    WHERE NOT EXISTS (
        SELECT FROM outtray.room
        WHERE room.topic = vacated.topic
    )
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
)
DELETE FROM outtray.vacated
USING lost
WHERE vacated.topic = lost.topic
    AND vacated.id = lost.id
