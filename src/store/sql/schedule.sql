-- Stores messages that wait: as `send`, and delays $7 in microseconds from the transaction's start.
INSERT INTO outtray.scheduled (topic, rank, id, headers, payload, body, due_at)
SELECT
    sent.topic, sent.rank, sent.id, sent.headers::json, sent.payload::json, sent.body,
    now() + sent.delay_us * interval '1 microsecond'
FROM unnest(
        $1::text[], $2::smallint[], $3::uuid[], $4::text[], $5::text[], $6::bytea[], $7::bigint[]
    ) AS sent (topic, rank, id, headers, payload, body, delay_us)
