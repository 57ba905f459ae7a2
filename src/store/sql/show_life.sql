-- Notes that workers $1 live: those without an advisory lock are judged by this, and lost rows come back.
-- Ids are unique over all topics; a worker's row is named by its full key all the same.
INSERT INTO outtray.worker (topic, id, process, holds_lock)
SELECT mine.topic, mine.id, $3::text, $4::boolean
FROM unnest($1::bigint[], $2::text[]) AS mine (id, topic)
ON CONFLICT (topic, id) DO UPDATE SET seen_at = now()
