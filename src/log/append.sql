-- Writes entries into the log $1, in order: ids $2, keys $3, headers $4, and of each either JSON $5
-- or bytes $6. Fails with a NULL segment if the topic is no log any more. Index: the primary key of
-- log, once.
INSERT INTO outtray.log_entry (topic, segment, id, key, headers, payload, body)
SELECT
    $1::text, (SELECT log.segment FROM outtray.log WHERE log.topic = $1::text),
    sent.id, sent.key, sent.headers::json, sent.payload::json, sent.body
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bytea[])
    AS sent (id, key, headers, payload, body)
