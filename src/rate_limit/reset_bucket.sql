-- Fills the bucket $2 of topic $1: that of a key, or that of the topic (the empty key). One that
-- has no row is full. Messages of the key that were put off for it, which say $3, are due. Noted as
-- a change of the topic, so that processes hear of it. Index: the primary keys, scheduled_key.
WITH filled AS (
    DELETE FROM outtray.bucket
    WHERE bucket.topic = $1::text
        AND bucket.key = $2::text
),
put_off AS MATERIALIZED (
    SELECT scheduled.topic, scheduled.id
    FROM outtray.scheduled
    WHERE scheduled.topic COLLATE "POSIX" = $1::text
        AND scheduled.key = $2::text
        AND scheduled.seq IS NOT NULL
        AND (scheduled.receipt IS NULL AND scheduled.error = $3::text AND scheduled.due_at > now()) IS TRUE
),
due AS (
    UPDATE outtray.scheduled
    SET due_at = now()
    FROM put_off
    WHERE scheduled.topic = ANY (ARRAY[put_off.topic])
        AND scheduled.id = put_off.id
        AND (scheduled.receipt IS NULL AND scheduled.due_at > now()) IS TRUE
)
UPDATE outtray.topic
SET changed_at = statement_timestamp()
WHERE topic.topic = $1::text
