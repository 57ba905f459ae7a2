-- Returns up to $1 logs that have named readers, by their names. Index: the primary keys.
SELECT log.topic
FROM outtray.log
WHERE EXISTS (SELECT FROM outtray.log_reader WHERE log_reader.topic = log.topic)
ORDER BY log.topic
LIMIT $1::bigint
