-- Returns how many lanes the reader $2 of the log $1 has. Index: the primary key.
SELECT log_reader.lanes
FROM outtray.log_reader
WHERE log_reader.topic = $1::text
    AND log_reader.reader = $2::text
