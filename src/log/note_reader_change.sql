-- Notes that a reader of the log $1 was moved or removed as a change of the topic, so that all
-- processes hear of it. Index: the primary key.
UPDATE outtray.topic
SET changed_at = statement_timestamp()
WHERE topic.topic = $1::text
