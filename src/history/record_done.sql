-- Records in the history that messages of topic $1 end (ranks $2, seqs $3), if the topic keeps one:
-- how $4, in the process $5, by a transaction that began $6 microseconds ago; of the messages $7
-- with the results $8. The caller holds their locks, and removes them by its next statement. By one
-- walk, as in `acknowledge`. Index: the primary key.
WITH terms AS MATERIALIZED (
    SELECT
        topic.topic,
        pg_catalog.floor(extract(epoch FROM clock_timestamp() + topic.keep_done_ms::float8 * interval '1 millisecond') / 86400::numeric)::bigint AS day,
        clock_timestamp() AS ended_at,
        topic.keep_done_payload AS has_content
    FROM outtray.topic
    WHERE topic.topic = $1::text
        AND topic.keep_done_ms IS NOT NULL
),
handled AS MATERIALIZED (
    SELECT given.rank, given.seq
    FROM unnest($2::smallint[], $3::bigint[]) AS given (rank, seq)
),
ended AS (
    SELECT
        walk.day, walk.ended_at, walk.has_content, message.topic, message.id, message.key, message.sent_at, message.due_at,
        message.attempts, message.failures, message.headers, message.payload, message.body
    FROM (
        SELECT
            terms.topic, terms.day, terms.ended_at, terms.has_content,
            handled.rank, min(handled.seq) AS first, max(handled.seq) AS last
        FROM terms
        CROSS JOIN handled
        GROUP BY terms.topic, terms.day, terms.ended_at, terms.has_content, handled.rank
        OFFSET 0
    ) AS walk
    JOIN outtray.message
        ON message.topic = ANY (ARRAY[walk.topic])
        AND message.rank = walk.rank
        AND message.seq >= walk.first
        AND message.seq <= walk.last
        AND ((message.rank, message.seq) IN (SELECT handled.rank, handled.seq FROM handled)) IS TRUE
)
INSERT INTO outtray.history
    (day, topic, id, how, ended_at, key, kind, sent_at, due_at, started_at, attempts, process, failures, result,
    headers, payload, body)
SELECT
    ended.day, ended.topic, ended.id, $4::text, ended.ended_at, ended.key,
    -- A NUL, which only an escape can say, would fail the transaction.
    CASE WHEN strpos(ended.headers::text, chr(92) || 'u'::text) = 0 THEN ended.headers ->> 'message-type'::text END,
    ended.sent_at, ended.due_at, ended.ended_at - $6::bigint::float8 * interval '1 microsecond',
    least(greatest(ended.attempts, 0)::integer + CASE $4::text WHEN 'done' THEN 1 ELSE 0 END, 32767), $5::text, ended.failures,
    given.result::json,
    CASE WHEN ended.has_content THEN ended.headers END,
    CASE WHEN ended.has_content THEN ended.payload END,
    CASE WHEN ended.has_content THEN ended.body END
FROM ended
LEFT JOIN unnest($7::uuid[], $8::text[]) AS given (id, result)
    ON given.id = ended.id
