-- Moves dead letters of topic $1 back to it with a clean count: those with the ids $2, or all when that is NULL; returns
-- how many. They expire no more: who redrives a message wants it handled.
-- Those with a key go to their place in its line, said to be stalled; others queue at the end.
WITH taken AS (
    DELETE FROM outtray.dead_letter
    WHERE dead_letter.topic = $1::text
        AND ($2::uuid[] IS NULL OR dead_letter.id = ANY ($2::uuid[]))
    RETURNING
        dead_letter.topic, dead_letter.rank, dead_letter.id, dead_letter.sent_at,
        dead_letter.headers, dead_letter.payload, dead_letter.body, dead_letter.died_at,
        dead_letter.key, dead_letter.on_end, dead_letter.seq
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
withdrawn AS (
    -- Who redrives a message wants it handled, whatever was asked before.
    DELETE FROM outtray.cancellation
    USING taken
    WHERE cancellation.topic = taken.topic
        AND cancellation.id = taken.id
),
begun_anew AS (
    -- What is tracked has not ended any more; kept for an hour where how it died is forgotten already.
    INSERT INTO outtray.outcome (topic, id, kept_ms)
    SELECT taken.topic, taken.id, 3600000
    FROM taken
    WHERE taken.on_end & 1 = 1
    ON CONFLICT (topic, id) DO UPDATE SET state = 'pending', result = NULL, ended_at = NULL
),
lined_up AS (
    INSERT INTO outtray.follower (topic, key, seq, rank, id, sent_at, on_end, headers, payload, body)
    SELECT
        taken.topic, taken.key, coalesce(taken.seq, nextval('outtray.message_seq')), taken.rank, taken.id,
        taken.sent_at, taken.on_end, taken.headers, taken.payload, taken.body
    FROM taken
    WHERE taken.key IS NOT NULL
    ORDER BY taken.died_at, taken.id
),
stuck AS (
    INSERT INTO outtray.stalled (topic, key, said_by)
    SELECT DISTINCT ON (taken.topic, taken.key) taken.topic, taken.key, taken.id
    FROM taken
    WHERE taken.key IS NOT NULL
),
queued AS (
    INSERT INTO outtray.message (topic, rank, id, sent_at, headers, payload, body, on_end)
    SELECT
        taken.topic, taken.rank, taken.id, taken.sent_at, taken.headers, taken.payload, taken.body, taken.on_end
    FROM taken
    WHERE taken.key IS NULL
    ORDER BY taken.died_at, taken.id
)
SELECT count(*) AS messages
FROM taken
