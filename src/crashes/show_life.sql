-- Notes that workers $1 live: those without an advisory lock are judged by this, and lost rows come
-- back, as those of receivers that may have up to $6 messages in hand. Ids are unique over all
-- topics; a worker's row is named by its full key all the same. What is for people goes along: $7
-- to $10 are of the process, $11 to $16 of the receivers.
INSERT INTO outtray.worker (
    topic, id, process, holds_lock, shift, most, host, pid, program, version, workers, filter, lease_ms, busy, in_hand,
    handlers
)
SELECT
    mine.topic, mine.id, $3::text, $4::boolean, mine.shift, mine.most, $7::text, $8::bigint, $9::text, $10::text,
    mine.workers, mine.filter, mine.lease_ms, mine.busy, mine.in_hand, mine.handlers::jsonb
FROM unnest(
    $1::bigint[], $2::text[], $5::bigint[], $6::integer[], $11::bigint[], $12::text[], $13::bigint[], $14::bigint[],
    $15::bigint[], $16::text[]
) AS mine (id, topic, shift, most, workers, filter, lease_ms, busy, in_hand, handlers)
ON CONFLICT (topic, id) DO UPDATE
SET seen_at = excluded.seen_at,
    lease_ms = excluded.lease_ms,
    busy = excluded.busy,
    in_hand = excluded.in_hand,
    handlers = excluded.handlers
