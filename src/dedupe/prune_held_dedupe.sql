-- Frees those of up to $2 dedupe keys that are taken until their messages end, in the order of the
-- messages' ids from the first after $1 on, whose messages are nowhere any more: somebody removed
-- them by hand, or had the key's row in hand when they ended. Returns the last id that was looked
-- at, and how many were freed; no id at the end. Index: dedupe_held, message_tracked,
-- follower_tracked, and the primary keys. One snapshot sees all tables: a message that is on its
-- way from one to another is in one of them.
WITH looked AS MATERIALIZED (
    SELECT dedupe.topic, dedupe.key, dedupe.id
    FROM outtray.dedupe
    WHERE dedupe.expires_at = 'infinity'
        AND uuid_send(dedupe.id) > uuid_send($1::uuid)
    ORDER BY uuid_send(dedupe.id)
    LIMIT $2::bigint
),
lost AS MATERIALIZED (
    SELECT free.topic, free.key, free.id
    FROM looked
    CROSS JOIN LATERAL (
        SELECT dedupe.topic, dedupe.key, dedupe.id
        FROM outtray.dedupe
        WHERE dedupe.topic = looked.topic
            AND dedupe.key = looked.key
            -- It was not taken anew since this one looked.
            AND (dedupe.id = looked.id AND dedupe.expires_at = 'infinity') IS TRUE
            AND (SELECT true FROM outtray.message WHERE message.id = looked.id AND message.on_end IS NOT NULL LIMIT 1) IS NULL
            AND (
                SELECT true FROM outtray.scheduled
                WHERE scheduled.topic = looked.topic AND scheduled.id = looked.id
                LIMIT 1
            ) IS NULL
            AND (SELECT true FROM outtray.follower WHERE follower.id = looked.id AND follower.on_end IS NOT NULL LIMIT 1) IS NULL
        FOR UPDATE OF dedupe SKIP LOCKED
    ) AS free
),
freed AS (
    DELETE FROM outtray.dedupe
    USING lost
    WHERE dedupe.topic = ANY (ARRAY[lost.topic])
        AND dedupe.key = lost.key
    RETURNING dedupe.id
),
noted AS (
    -- Of a dead letter, as in `free_dedupe_of_dead`.
    UPDATE outtray.dead_letter
    SET dedupe_key = lost.key
    FROM lost
    WHERE dead_letter.topic = ANY (ARRAY[lost.topic])
        AND dead_letter.id = lost.id
)
SELECT
    (SELECT looked.id FROM looked ORDER BY uuid_send(looked.id) DESC LIMIT 1) AS last,
    (SELECT count(*) FROM looked) AS looked_at,
    (SELECT count(*) FROM freed) AS freed
