-- Removes up to $1 tallies of minutes that began more than $2 minutes ago. Index: tally_minute, and
-- the primary key.
WITH old AS MATERIALIZED (
    SELECT tally.topic, tally.minute
    FROM outtray.tally
    WHERE tally.minute + 0 < pg_catalog.floor(extract(epoch FROM now()) / 60::numeric)::bigint - $2::bigint
    ORDER BY tally.minute + 0
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
)
DELETE FROM outtray.tally
USING old
WHERE tally.topic = ANY (ARRAY[old.topic])
    AND tally.minute = old.minute
