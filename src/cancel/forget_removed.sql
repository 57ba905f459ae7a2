-- Forgets the requests to give up the messages $2 of topics $1, one of each for each, which the
-- transaction removed while they waited: they are in nobody's hands. Index: the primary key.
DELETE FROM outtray.cancellation
USING unnest($1::text[], $2::uuid[]) AS removed (topic, id)
WHERE cancellation.topic = removed.topic
    AND cancellation.id = removed.id
