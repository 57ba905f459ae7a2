-- Removes the leased messages $2 of topic $1 for good, each if its receipt, of $3, is still good;
-- returns those receipts. One after the other in the order given, so that of two who remove several
-- one waits for the other. Each by its whole key, and the topic behind a fence, as in
-- `end_outcomes`: no plan reads all leases of the topic while there are few. Index: the primary
-- key.
DELETE FROM outtray.scheduled
USING (
    SELECT $1::text AS topic, given.id, given.receipt
    FROM unnest($2::uuid[], $3::uuid[]) AS given (id, receipt)
    OFFSET 0
) AS ended
WHERE scheduled.topic = ANY (ARRAY[ended.topic])
    AND scheduled.id = ended.id
    AND (scheduled.receipt = ended.receipt) IS TRUE
RETURNING scheduled.receipt
