-- Moves dead letters of topic $1 back to it with a clean count: those with the ids $2, or all when that is NULL.
-- They expire no more: who redrives a message wants it handled.
WITH taken AS (
    DELETE FROM outtray.dead_letter
    WHERE dead_letter.topic = $1::text
        AND ($2::uuid[] IS NULL OR dead_letter.id = ANY ($2::uuid[]))
    RETURNING
        dead_letter.topic, dead_letter.rank, dead_letter.id, dead_letter.sent_at,
        dead_letter.headers, dead_letter.payload, dead_letter.body, dead_letter.died_at,
        dead_letter.key, dead_letter.on_end
),
back AS MATERIALIZED (
    SELECT count(*) AS messages
    FROM taken
    WHERE taken.on_end & 2 <> 0
),
roomier AS (
    -- They take room again, whether or not there is any: nothing may be lost.
    UPDATE outtray.room
    SET used = room.used + back.messages
    FROM back
    WHERE room.topic = $1::text
        AND back.messages > 0
),
begun_anew AS (
    -- What is tracked has not ended any more; kept for an hour where how it died is forgotten already.
    INSERT INTO outtray.outcome (topic, id, kept_ms)
    SELECT taken.topic, taken.id, 3600000
    FROM taken
    WHERE taken.on_end & 1 = 1
    ON CONFLICT (topic, id) DO UPDATE SET state = 'pending', result = NULL, ended_at = NULL
)
INSERT INTO outtray.message (topic, rank, id, sent_at, headers, payload, body, key, on_end)
SELECT
    taken.topic, taken.rank, taken.id, taken.sent_at,
    taken.headers, taken.payload, taken.body, taken.key, taken.on_end
FROM taken
ORDER BY taken.died_at, taken.id
