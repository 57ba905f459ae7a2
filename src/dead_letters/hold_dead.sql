-- Holds the dead letter $2 of topic $1 until the transaction ends. Returns what it carries, and how
-- long its payload is and its SHA-256, in hexadecimal digits. Index: the primary key.
SELECT
    held.headers, held.payload, held.body, octet_length(held.content)::bigint AS bytes, encode(sha256(held.content), 'hex') AS hash
FROM (
    SELECT
        dead_letter.headers::text, dead_letter.payload::text, dead_letter.body,
        coalesce(convert_to(dead_letter.payload::text, 'UTF8'), dead_letter.body) AS content
    FROM outtray.dead_letter
    WHERE dead_letter.topic = $1::text
        AND dead_letter.id = $2::uuid
    FOR UPDATE
) AS held
