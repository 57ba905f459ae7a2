-- Locks leased messages of topic $1 (ids $2 with receipts $3); returns the receipts that were still good,
-- and which of their messages somebody cancelled. What becomes of them is decided after, while nobody can change that.
-- Index: the primary key.
SELECT scheduled.receipt, coalesce(scheduled.is_cancelled, false) AS is_cancelled
FROM outtray.scheduled
JOIN unnest($2::uuid[], $3::uuid[]) AS held (id, receipt)
    ON scheduled.id = held.id
    AND scheduled.receipt = held.receipt
WHERE scheduled.topic = $1::text
FOR UPDATE OF scheduled
