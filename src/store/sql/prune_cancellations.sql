-- Removes the requests to give messages $1 up that are over $2 seconds old and whose messages are gone.
-- Index: message_id and follower_id, and the primary keys.
DELETE FROM outtray.cancellation
WHERE cancellation.id = ANY ($1::uuid[])
    AND cancellation.asked_at < now() - $2::bigint * interval '1 second'
    AND NOT EXISTS (SELECT FROM outtray.message WHERE message.id = cancellation.id AND message.topic = cancellation.topic)
    AND NOT EXISTS (SELECT FROM outtray.scheduled WHERE scheduled.topic = cancellation.topic AND scheduled.id = cancellation.id)
    AND NOT EXISTS (SELECT FROM outtray.follower WHERE follower.id = cancellation.id AND follower.topic = cancellation.topic)
