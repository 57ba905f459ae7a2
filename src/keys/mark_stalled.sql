-- Makes keys $2 of topics $1 stalled, said by $3.
INSERT INTO outtray.stalled (topic, key, said_by)
SELECT found.topic, found.key, $3::uuid
FROM unnest($1::text[], $2::text[]) AS found (topic, key)
