-- Makes those of the messages $2 of topic $1 due now that wait for their time, in this order: as if
-- they had been due an hour ago, one after the other. Who moves due messages does the rest. Index:
-- the primary key.
UPDATE outtray.scheduled
SET due_at = mine.due_at
FROM (
    SELECT
        $1::text AS topic, given.id,
        now() - interval '1 hour' + given.number::float8 * interval '1 microsecond' AS due_at
    FROM pg_catalog.unnest($2::uuid[]) WITH ORDINALITY AS given (id, number)
    -- Always so, as in `bury`.
    WHERE given.number BETWEEN -9223372036854775807 AND 9223372036854775807
    OFFSET 0
) AS mine
-- By all of the key, as in `acknowledge`.
WHERE scheduled.topic = ANY (ARRAY[mine.topic])
    AND scheduled.id = mine.id
    -- Asked of the row as it is now: others may have taken it meanwhile, or given it back.
    AND (scheduled.receipt IS NULL) IS TRUE
    AND (scheduled.due_at < 'infinity') IS TRUE
