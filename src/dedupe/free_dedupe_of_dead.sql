-- Frees the dedupe key that the message $2 of topic $1 had until it ended, and notes it with the
-- dead letter that it has become: when that is redriven, it takes the key again. Index:
-- dedupe_held, and the primary keys. As in `free_dedupe`.
WITH held AS MATERIALIZED (
    SELECT dedupe.topic, dedupe.key
    FROM outtray.dedupe
    WHERE uuid_send(dedupe.id) = uuid_send($2::uuid)
        AND dedupe.expires_at = 'infinity'
        AND (dedupe.topic = $1::text) IS TRUE
    FOR UPDATE SKIP LOCKED
),
freed AS (
    DELETE FROM outtray.dedupe
    USING held
    WHERE dedupe.topic = ANY (ARRAY[held.topic])
        AND dedupe.key = held.key
    RETURNING dedupe.key
)
UPDATE outtray.dead_letter
SET dedupe_key = freed.key
FROM freed
WHERE dead_letter.topic = $1::text
    AND dead_letter.id = $2::uuid
