-- Ends leases of topic $1 (ids $2) such that their messages wait for another attempt: attempts so far $3, delays $4 in
-- microseconds from now, errors $5. The caller holds their locks, and their receipts were right.
-- A message with a key keeps its place: nothing of its key overtakes it. Others come back at the end.
UPDATE outtray.scheduled
SET attempts = failed.attempts,
    due_at = now() + failed.delay_us * interval '1 microsecond',
    error = failed.error,
    seq = CASE WHEN scheduled.key IS NOT NULL THEN scheduled.seq END,
    receipt = NULL
FROM unnest($2::uuid[], $3::smallint[], $4::bigint[], $5::text[]) AS failed (id, attempts, delay_us, error)
WHERE scheduled.topic = $1::text
    AND scheduled.id = failed.id
