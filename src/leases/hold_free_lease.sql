-- Locks the leased message $2 of topic $1 as `hold_lease` does, unless somebody else has its row in
-- hand: then, and if the receipt $3 is not good any more, returns nothing. Index: the primary key.
-- One at a time for the reason of `end_lease`.
SELECT scheduled.receipt, coalesce(scheduled.is_cancelled, false) AS is_cancelled
FROM outtray.scheduled
WHERE scheduled.topic = $1::text
    AND scheduled.id = $2::uuid
    AND (scheduled.receipt = $3::uuid) IS TRUE
FOR UPDATE SKIP LOCKED
