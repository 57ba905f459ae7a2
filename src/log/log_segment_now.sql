-- Returns the segment into which entries of the log $1 are written now. Index: the primary key.
SELECT log.segment FROM outtray.log WHERE log.topic = $1::text
