-- Removes leased messages of topic $1 for good: ids $2 with receipts $3; returns the receipts that were still good.
-- Index: the primary key.
DELETE FROM outtray.scheduled
USING unnest($2::uuid[], $3::uuid[]) AS held (id, receipt)
WHERE scheduled.topic = $1::text
    AND scheduled.id = held.id
    AND scheduled.receipt = held.receipt
RETURNING scheduled.receipt
