-- Returns the same as `history`, but only of messages with the key $7. Index: history_key.
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
WHERE history.topic COLLATE "POSIX" = $1::text
    AND history.key = $7::text
    AND ($6::text IS NULL OR history.how = $6::text)
    AND history.ended_at >= timestamptz '1970-01-01 00:00:00+00' + $2::bigint::float8 * interval '1 microsecond'
    AND history.ended_at <= timestamptz '1970-01-01 00:00:00+00' + $3::bigint::float8 * interval '1 microsecond'
    AND (history.ended_at, one.id) < (timestamptz '1970-01-01 00:00:00+00' + $3::bigint::float8 * interval '1 microsecond', $4::uuid)
    AND history.day >= pg_catalog.floor(extract(epoch FROM now()) / 86400::numeric)::bigint
ORDER BY history.ended_at DESC, one.id DESC
LIMIT $5::bigint
