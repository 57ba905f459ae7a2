-- Writes one entry into the log $1: id $2, key $3, headers $4, and either JSON $5 or bytes $6. The
-- same as `append` for one. Index: the primary key of log.
INSERT INTO outtray.log_entry (topic, segment, id, key, headers, payload, body)
SELECT
    $1::text, (SELECT log.segment FROM outtray.log WHERE log.topic = $1::text),
    $2::uuid, $3::text, $4::text::json, $5::text::json, $6::bytea
