-- Returns up to $2 ends of message $1, the last first: one that was redriven may have ended several
-- times. Only of topic $3, unless that is NULL. Index: history_id.
SELECT
    history.topic, one.id, history.how, history.key, history.kind, history.attempts, history.process,
    history.reason, history.error, history.failures::text, history.result::text,
    history.headers::text, history.payload::text, history.body,
    (extract(epoch FROM least(greatest(history.ended_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS ended_at_us,
    (extract(epoch FROM least(greatest(coalesce(one.sent_at, history.sent_at), '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS sent_at_us,
    CASE WHEN history.due_at IS NOT NULL THEN (extract(epoch FROM least(greatest(history.due_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint END AS due_at_us,
    CASE WHEN history.started_at IS NOT NULL THEN (extract(epoch FROM least(greatest(history.started_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint END AS started_at_us
FROM outtray.history
CROSS JOIN LATERAL unnest(coalesce(history.ids, ARRAY[history.id]), coalesce(history.sent_ats, ARRAY[history.sent_at])) AS one (id, sent_at)
WHERE history.id >= (left($1::uuid::text, 11) || '00-0000-0000-000000000000')::uuid
    AND history.id <= (left($1::uuid::text, 11) || 'ff-ffff-ffff-ffffffffffff')::uuid
    AND one.id = $1::uuid
    AND ($3::text IS NULL OR history.topic = $3::text)
    AND history.day >= pg_catalog.floor(extract(epoch FROM now()) / 86400::numeric)::bigint
ORDER BY history.ended_at DESC
LIMIT $2::bigint
