-- Removes up to $2 changes that were made over $1 days ago. Index: change_at.
WITH old AS MATERIALIZED (
    SELECT change.topic, change.id
    FROM outtray.change
    WHERE change.at < now() - $1::bigint::float8 * interval '1 day'
    ORDER BY change.at
    LIMIT $2::bigint
    FOR UPDATE SKIP LOCKED
)
DELETE FROM outtray.change
USING old
WHERE change.topic = ANY (ARRAY[old.topic])
    AND change.id = old.id
