-- Replaces what the dead letter $2 of topic $1 carries: headers $3, and either JSON $4 or bytes $5.
-- Index: the primary key.
UPDATE outtray.dead_letter
SET headers = $3::text::json,
    payload = $4::text::json,
    body = $5::bytea
WHERE dead_letter.topic = $1::text
    AND dead_letter.id = $2::uuid
