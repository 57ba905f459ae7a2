-- Frees the dedupe keys that the messages $2 of topic $1 have until they end, which they have.
-- Index: dedupe_held, for each by itself. Who has a row locked is about to change it by its name,
-- or finds in a moment that its message has ended: nobody who ends a message waits for that.
DELETE FROM outtray.dedupe
WHERE dedupe.ctid = ANY (ARRAY(
    SELECT found.place
    FROM pg_catalog.unnest($2::uuid[]) AS ended (id)
    CROSS JOIN LATERAL (
        SELECT dedupe.ctid AS place
        FROM outtray.dedupe
        WHERE uuid_send(dedupe.id) = uuid_send(ended.id)
            AND dedupe.expires_at = 'infinity'
            AND (dedupe.topic = $1::text) IS TRUE
        FOR UPDATE SKIP LOCKED
    ) AS found
))
