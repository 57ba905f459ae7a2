-- Records in the history that the leased message $2 of topic $1 ends, if the topic keeps one, and
-- if its receipt $3 is still good: how $4, in the process $5, taken $6 microseconds ago (NULL:
-- nobody knows), with the result $7. Locks it: the caller removes it by its next statement. Index:
-- the primary key.
WITH held AS MATERIALIZED (
    SELECT
        scheduled.topic, scheduled.id, scheduled.key, scheduled.sent_at, scheduled.attempts, scheduled.failures,
        scheduled.headers, scheduled.payload, scheduled.body
    FROM outtray.scheduled
    WHERE scheduled.topic = $1::text
        AND scheduled.id = $2::uuid
        AND (scheduled.receipt = $3::uuid) IS TRUE
        AND EXISTS (SELECT FROM outtray.topic WHERE topic.topic = $1::text AND topic.keep_done_ms IS NOT NULL)
    FOR UPDATE
)
INSERT INTO outtray.history
    (day, topic, id, how, ended_at, key, kind, sent_at, started_at, attempts, process, failures, result, headers, payload, body)
SELECT
    pg_catalog.floor(extract(epoch FROM clock_timestamp() + topic.keep_done_ms::float8 * interval '1 millisecond') / 86400::numeric)::bigint,
    held.topic, held.id, $4::text, clock_timestamp(), held.key,
    -- As in `end_recorded`.
    CASE WHEN strpos(held.headers::text, chr(92) || 'u'::text) = 0 THEN held.headers ->> 'message-type'::text END,
    held.sent_at, clock_timestamp() - $6::bigint::float8 * interval '1 microsecond',
    greatest(held.attempts, 0), $5::text, held.failures, $7::text::json,
    CASE WHEN topic.keep_done_payload THEN held.headers END,
    CASE WHEN topic.keep_done_payload THEN held.payload END,
    CASE WHEN topic.keep_done_payload THEN held.body END
FROM held
JOIN outtray.topic
    ON topic.topic = held.topic
