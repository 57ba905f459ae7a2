-- Makes a row for topic $1 if there is none, with all defaults.
INSERT INTO outtray.topic (topic)
VALUES ($1::text)
ON CONFLICT (topic) DO NOTHING
