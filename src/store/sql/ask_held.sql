-- Notes that those of the messages $1 that are in somebody's hands are to be given up. Returns them.
-- Index: message_id.
INSERT INTO outtray.cancellation (topic, id)
SELECT message.topic, message.id
FROM outtray.message
WHERE message.id = ANY ($1::uuid[])
-- One that was asked for before is asked for again.
ON CONFLICT (topic, id) DO UPDATE SET asked_at = excluded.asked_at
RETURNING cancellation.id
