-- Locks a free one of the first $2 slots of topic $1 until the transaction ends; no row: so many are in work.
SELECT slot.number AS slot
FROM outtray.slot
WHERE slot.topic = $1::text
    AND slot.number <= $2::integer
ORDER BY slot.number
LIMIT 1
FOR UPDATE SKIP LOCKED
