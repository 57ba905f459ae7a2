-- Makes those of the messages $2 of topic $1 due now that wait for their time, in this order: as if
-- they had been due an hour ago, one after the other. Who moves due messages does the rest. Index:
-- the primary key.
UPDATE outtray.scheduled
SET due_at = now() - interval '1 hour'
    + array_position($2::uuid[], scheduled.id)::float8 * interval '1 microsecond'
WHERE scheduled.ctid = ANY (ARRAY(
    SELECT found.place
    FROM pg_catalog.unnest($2::uuid[]) AS mine (id)
    CROSS JOIN LATERAL (
        SELECT scheduled.ctid AS place
        FROM outtray.scheduled
        WHERE scheduled.topic = $1::text
            AND scheduled.id = mine.id
        OFFSET 0
    ) AS found
))
    -- Asked of the row as it is now: others may have taken it meanwhile, or given it back.
    AND (scheduled.topic = $1::text) IS TRUE
    AND (scheduled.receipt IS NULL) IS TRUE
    AND (scheduled.due_at < 'infinity') IS TRUE
