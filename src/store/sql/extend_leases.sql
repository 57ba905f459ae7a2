-- Lets leases of topic $1 (ids $2 with receipts $3) last $4 microseconds from now; returns the receipts that
-- were still good, and which of their messages somebody cancelled.
-- Index: the primary key.
UPDATE outtray.scheduled
SET due_at = now() + $4::bigint * interval '1 microsecond'
FROM unnest($2::uuid[], $3::uuid[]) AS held (id, receipt)
WHERE scheduled.topic = $1::text
    AND scheduled.id = held.id
    AND scheduled.receipt = held.receipt
RETURNING scheduled.receipt, coalesce(scheduled.is_cancelled, false) AS is_cancelled
