-- Notes that workers $1 live: those without an advisory lock are judged by this, and lost rows come
-- back, as those of receivers that may have up to $6 messages in hand. Ids are unique over all
-- topics; a worker's row is named by its full key all the same.
INSERT INTO outtray.worker (topic, id, process, holds_lock, shift, most)
SELECT mine.topic, mine.id, $3::text, $4::boolean, mine.shift, mine.most
FROM unnest($1::bigint[], $2::text[], $5::bigint[], $6::integer[]) AS mine (id, topic, shift, most)
ON CONFLICT (topic, id) DO UPDATE SET seen_at = excluded.seen_at
