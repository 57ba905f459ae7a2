-- Returns how many messages of topic $1 are leased, counted up to $2: how much of its limit leases take. In a statement after
-- the one that locked slots, so that it sees all leases that were made before.
SELECT count(*) AS leased
FROM (
    SELECT FROM outtray.scheduled
    WHERE scheduled.topic = $1::text
        AND scheduled.receipt IS NOT NULL
    LIMIT $2::bigint
) AS counted
