-- Locks all free ones of the first $2 slots of topic $1 until the transaction ends, or its savepoint; returns their numbers.
-- Those that this transaction holds already are among them.
SELECT slot.number AS slot
FROM outtray.slot
WHERE slot.topic = $1::text
    AND slot.number <= $2::integer
FOR UPDATE SKIP LOCKED
