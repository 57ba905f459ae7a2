-- Frees the dedupe keys that the messages $2 of topic $1 have until they end, which they have.
-- Index: dedupe_held, for each by itself, and the primary key. Who has a row locked is about to
-- change it by its name, or finds in a moment that its message has ended: nobody who ends a message
-- waits for that. The topic is compared as an array of one, as everywhere where rows are removed
-- that were looked up: no index that begins with the topic can then be read for anything but the
-- whole key.
WITH held AS MATERIALIZED (
    SELECT found.topic, found.key
    FROM pg_catalog.unnest($2::uuid[]) AS ended (id)
    CROSS JOIN LATERAL (
        SELECT dedupe.topic, dedupe.key
        FROM outtray.dedupe
        WHERE uuid_send(dedupe.id) = uuid_send(ended.id)
            AND dedupe.expires_at = 'infinity'
            AND (dedupe.topic = $1::text) IS TRUE
        FOR UPDATE SKIP LOCKED
    ) AS found
)
DELETE FROM outtray.dedupe
USING held
WHERE dedupe.topic = ANY (ARRAY[held.topic])
    AND dedupe.key = held.key
