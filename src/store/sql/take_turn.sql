-- Takes the turn of topic $1, whose messages are handled strictly one after the other; no row: it is taken.
-- A statement of its own, so that what follows sees all that the last holder of the turn did.
SELECT topic.topic
FROM outtray.topic
WHERE topic.topic = $1::text
FOR UPDATE SKIP LOCKED
