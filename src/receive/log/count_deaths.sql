-- Notes how many processes $3 died of each of the messages $2 of topic $1, which were in hand
-- alone. Index: the primary key.
INSERT INTO outtray.attempt (topic, id, attempts, is_certain)
SELECT $1::text, killer.id, killer.deaths, true
FROM unnest($2::uuid[], $3::smallint[]) AS killer (id, deaths)
ON CONFLICT (topic, id) DO UPDATE SET attempts = excluded.attempts, is_certain = true
