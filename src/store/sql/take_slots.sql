-- Locks up to $3 free ones of the first $2 slots of topic $1 until the transaction ends; no row: so many are in work.
-- The limit may have been lowered since the caller heard of it.
SELECT slot.number AS slot
FROM outtray.slot
WHERE slot.topic = $1::text
    AND slot.number <= least($2::integer, (
        SELECT (topic.config ->> 'max_in_work')::integer FROM outtray.topic WHERE topic.topic = $1::text
    ))
ORDER BY slot.number
LIMIT $3::bigint
FOR UPDATE SKIP LOCKED
