-- Makes the slots 1 to $2 of topic $1 where there are none.
INSERT INTO outtray.slot (topic, number)
SELECT $1::text, numbered.number
FROM generate_series(1, $2::integer) AS numbered (number)
ON CONFLICT (topic, number) DO NOTHING
