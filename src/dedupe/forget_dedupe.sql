-- Forgets the dedupe key $2 of topic $1, whoever has it, if it is taken.
-- Index: the primary key.
DELETE FROM outtray.dedupe
WHERE dedupe.topic = $1::text
    AND dedupe.key = $2::text
    AND (dedupe.expires_at > statement_timestamp()) IS TRUE
