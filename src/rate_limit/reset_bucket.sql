-- Fills the bucket $2 of topic $1: that of a key, or that of the topic (the empty key). One that
-- has no row is full. Noted as a change of the topic, so that processes hear of it. Index: the
-- primary keys.
WITH filled AS (
    DELETE FROM outtray.bucket
    WHERE bucket.topic = $1::text
        AND bucket.key = $2::text
)
UPDATE outtray.topic
SET changed_at = statement_timestamp()
WHERE topic.topic = $1::text
