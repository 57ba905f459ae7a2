-- Removes messages of topic $1 (ranks $2, seqs $3), as `acknowledge` does, and records in the
-- history how they end, if the topic keeps one: how $4, in the process $5, by a transaction that
-- began $6 microseconds ago; of the messages $7 with the results $8. Those that have all but their
-- ids and the times when they were sent in common share a row, if their ids begin alike: so few
-- rows have to be looked at for an id. The caller holds their locks. Index: the primary key.
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
removed AS (
    DELETE FROM outtray.message
    USING (
        SELECT $1::text AS topic, handled.rank, min(handled.seq) AS first, max(handled.seq) AS last
        FROM handled
        GROUP BY handled.rank
        OFFSET 0
    ) AS walk
    WHERE message.topic = ANY (ARRAY[walk.topic])
        AND message.rank = walk.rank
        AND message.seq >= walk.first
        AND message.seq <= walk.last
        AND ((message.rank, message.seq) IN (SELECT handled.rank, handled.seq FROM handled)) IS TRUE
    RETURNING
        message.id, message.key, message.sent_at, message.due_at, message.attempts, message.failures,
        message.headers, message.payload, message.body
),
alike AS (
    SELECT
        array_agg(ended.id) AS ids, array_agg(ended.sent_at) AS sent_ats, ended.key, ended.kind, ended.due_at,
        ended.attempts, ended.failures, ended.result, ended.headers, ended.payload, ended.body
    FROM (
        SELECT
            removed.id, removed.sent_at, removed.key, removed.due_at, removed.attempts, removed.failures, given.result,
            -- A NUL, which only an escape can say, would fail the transaction.
            CASE WHEN strpos(removed.headers::text, chr(92) || 'u'::text) = 0 THEN removed.headers ->> 'message-type'::text END AS kind,
            CASE WHEN (SELECT terms.has_content FROM terms) THEN removed.headers::text END AS headers,
            CASE WHEN (SELECT terms.has_content FROM terms) THEN removed.payload::text END AS payload,
            CASE WHEN (SELECT terms.has_content FROM terms) THEN removed.body END AS body
        FROM removed
        LEFT JOIN unnest($7::uuid[], $8::text[]) AS given (id, result)
            ON given.id = removed.id
    ) AS ended
    GROUP BY
        left(ended.id::text, 11), ended.key, ended.kind, ended.due_at, ended.attempts, ended.failures, ended.result,
        ended.headers, ended.payload, ended.body
),
recorded AS (
    INSERT INTO outtray.history
        (day, topic, id, how, ended_at, key, kind, sent_at, due_at, started_at, attempts, process, failures, result,
        headers, payload, body, ids, sent_ats)
    SELECT
        terms.day, terms.topic, alike.ids[1], $4::text, terms.ended_at, alike.key, alike.kind, alike.sent_ats[1],
        alike.due_at, terms.ended_at - $6::bigint::float8 * interval '1 microsecond',
        least(greatest(alike.attempts, 0)::integer + CASE $4::text WHEN 'done' THEN 1 ELSE 0 END, 32767),
        $5::text, alike.failures, alike.result::json, alike.headers::json, alike.payload::json, alike.body,
        CASE WHEN pg_catalog.cardinality(alike.ids) > 1 THEN alike.ids END,
        CASE WHEN pg_catalog.cardinality(alike.ids) > 1 THEN alike.sent_ats END
    FROM alike
    CROSS JOIN terms
)
SELECT outtray.miscounted(count(*), pg_catalog.cardinality($3::bigint[]))
FROM removed
HAVING count(*) <> pg_catalog.cardinality($3::bigint[])
