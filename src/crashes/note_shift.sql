-- Notes with $3 whether receiver $2 of topic $1 may have messages in hand (odd) or not; of two
-- notes the larger one holds.
UPDATE outtray.worker
SET shift = $3::bigint
WHERE worker.topic = $1::text
    AND worker.id = $2::bigint
    AND worker.shift < $3::bigint
