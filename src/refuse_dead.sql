-- Answers those of the requests $2 of topic $1 that became dead letters, and whose askers wait:
-- with an error that says why, but not what the handler said, which may be nothing for an asker.
-- Headers with an escape are not read: one of a NUL would fail the statement. Index: the primary
-- key.
INSERT INTO outtray.message (topic, rank, id, headers, payload)
SELECT
    asked.reply_to, 0, gen_random_uuid(),
    json_build_object('correlation-id', asked.correlation_id, 'causation-id', asked.id, 'reply-status', 'error'),
    to_json(pg_catalog.concat('it failed for good (', asked.reason, ') and is a dead letter'))
FROM pg_catalog.unnest($2::uuid[]) AS dead (id)
CROSS JOIN LATERAL (
    SELECT
        dead_letter.id, dead_letter.reason,
        dead_letter.headers ->> 'reply-to'::text AS reply_to,
        dead_letter.headers ->> 'correlation-id'::text AS correlation_id
    FROM outtray.dead_letter
    WHERE dead_letter.topic = $1::text
        AND dead_letter.id = dead.id
        AND strpos(dead_letter.headers::text, chr(92) || 'u'::text) = 0
    OFFSET 0
) AS asked
WHERE asked.reply_to ~ '^outtray[.]reply[.][0-9a-f]{32}'::text
    AND length(asked.reply_to) = 46
