-- Locks lane $3 of reader $2 of the log $1 until the transaction ends; no row if somebody else has
-- it, or there is no such reader with $4 lanes: it may have been removed and made anew with others,
-- which divide the entries in another way. Index: the primary keys.
SELECT log_lane.lane
FROM outtray.log_lane
WHERE log_lane.topic = $1::text
    AND log_lane.reader = $2::text
    AND log_lane.lane = $3::bigint
    AND EXISTS (
        SELECT
        FROM outtray.log_reader
        WHERE log_reader.topic = $1::text
            AND log_reader.reader = $2::text
            AND log_reader.lanes = $4::bigint
    )
FOR UPDATE SKIP LOCKED
