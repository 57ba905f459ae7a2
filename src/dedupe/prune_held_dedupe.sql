-- Frees those of up to $2 dedupe keys that are taken until their messages end, in the order of the
-- messages' ids from the first after $1 on, whose messages are nowhere any more: somebody removed
-- them by hand, or had the key's row in hand when they ended. Returns the last id that was looked
-- at, and how many were freed; no id at the end. Index: dedupe_held, message_tracked,
-- follower_tracked, and the primary keys. One snapshot sees all tables: a message that is on its
-- way from one to another is in one of them.
WITH looked AS MATERIALIZED (
    SELECT dedupe.topic, dedupe.key, dedupe.id, dedupe.ctid AS place
    FROM outtray.dedupe
    WHERE dedupe.expires_at = 'infinity'
        AND uuid_send(dedupe.id) > uuid_send($1::uuid)
    ORDER BY uuid_send(dedupe.id)
    LIMIT $2::bigint
),
lost AS MATERIALIZED (
    SELECT looked.topic, looked.key, looked.id, free.place
    FROM looked
    CROSS JOIN LATERAL (
        SELECT dedupe.ctid AS place
        FROM outtray.dedupe
        WHERE dedupe.topic = looked.topic
            AND dedupe.key = looked.key
            AND (SELECT true FROM outtray.message WHERE message.id = looked.id AND message.on_end IS NOT NULL LIMIT 1) IS NULL
            AND (
                SELECT true FROM outtray.scheduled
                WHERE scheduled.topic = looked.topic AND scheduled.id = looked.id
                LIMIT 1
            ) IS NULL
            AND (SELECT true FROM outtray.follower WHERE follower.id = looked.id AND follower.on_end IS NOT NULL LIMIT 1) IS NULL
        FOR UPDATE OF dedupe SKIP LOCKED
    ) AS free
    -- It was not taken anew since this one looked.
    WHERE free.place = looked.place
),
freed AS (
    DELETE FROM outtray.dedupe
    WHERE dedupe.ctid = ANY (ARRAY(SELECT lost.place FROM lost))
    RETURNING dedupe.id
),
noted AS (
    -- Of a dead letter, as in `free_dedupe_of_dead`.
    UPDATE outtray.dead_letter
    SET dedupe_key = (
        SELECT lost.key FROM lost WHERE lost.topic = dead_letter.topic AND lost.id = dead_letter.id LIMIT 1
    )
    WHERE dead_letter.ctid = ANY (ARRAY(
        SELECT found.place
        FROM lost
        CROSS JOIN LATERAL (
            SELECT dead_letter.ctid AS place
            FROM outtray.dead_letter
            WHERE dead_letter.topic = lost.topic
                AND dead_letter.id = lost.id
            OFFSET 0
        ) AS found
    ))
)
SELECT
    (SELECT looked.id FROM looked ORDER BY uuid_send(looked.id) DESC LIMIT 1) AS last,
    (SELECT count(*) FROM looked) AS looked_at,
    (SELECT count(*) FROM freed) AS freed
