-- Lets the log $1 begin with the tick $2. Index: the primary key.
UPDATE outtray.log
SET begins = $2::bigint
WHERE log.topic = $1::text
    AND log.begins < $2::bigint
