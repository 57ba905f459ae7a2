-- Sets when the recurring message $2 of topic $1 is sent next, to $4 instead of over half a minute
-- later, in microseconds since 1970, unless somebody has it in hand or set it to another time than
-- $3.
WITH free AS MATERIALIZED (
    SELECT recurring.topic, recurring.name
    FROM outtray.recurring
    WHERE recurring.topic = $1::text
        AND recurring.name = $2::text
        AND recurring.next_at = timestamptz '1970-01-01 00:00:00+00' + $3::bigint::float8 * interval '1 microsecond'
    FOR UPDATE SKIP LOCKED
)
UPDATE outtray.recurring
SET next_at = timestamptz '1970-01-01 00:00:00+00' + $4::bigint::float8 * interval '1 microsecond'
FROM free
WHERE recurring.topic = free.topic
    AND recurring.name = free.name
