-- Returns where the log $1 begins. Index: the primary key.
SELECT log.begins FROM outtray.log WHERE log.topic = $1::text
