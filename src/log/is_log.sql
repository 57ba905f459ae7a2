-- Returns whether the topic $1 is kept as a log. Index: the primary key.
SELECT EXISTS (SELECT FROM outtray.log WHERE log.topic = $1::text) AS is_log
