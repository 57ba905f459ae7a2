-- Sets the settings of topic $1 to the document $2; NULL: to the defaults.
INSERT INTO outtray.topic (topic, config, changed_at)
VALUES ($1::text, $2::text::json, clock_timestamp())
ON CONFLICT (topic) DO UPDATE SET config = excluded.config, changed_at = excluded.changed_at
