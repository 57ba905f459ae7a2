-- Removes those of the messages of topic $1 (ranks $2, seqs $3) that somebody still asks to be
-- given up; returns their ids. The caller holds their locks. What a process remembers decides
-- nothing: the request may be of a life that is over, from which the message was redriven. One that
-- is asked for and is not there to be removed fails the transaction, as in `acknowledge`: it would
-- pass for one that nobody asks for any more, and be handled. By look-ups behind a fence, as there.
-- Index: the primary keys.
WITH wanted AS MATERIALIZED (
    SELECT found.topic, found.rank, found.seq
    FROM unnest($2::smallint[], $3::bigint[]) AS asked (rank, seq)
    CROSS JOIN LATERAL (
        SELECT message.topic, message.rank, message.seq
        FROM outtray.message
        WHERE message.topic = $1::text
            AND message.rank = asked.rank
            AND message.seq = asked.seq
            AND EXISTS (
                SELECT
                FROM outtray.cancellation
                WHERE cancellation.topic = $1::text
                    AND cancellation.id = message.id
            )
        OFFSET 0
    ) AS found
),
removed AS (
    DELETE FROM outtray.message
    USING wanted
    WHERE message.topic = ANY (ARRAY[wanted.topic])
        AND message.rank = wanted.rank
        AND message.seq = wanted.seq
    RETURNING
        message.topic, message.id, message.key, message.sent_at, message.attempts, message.failures,
        message.headers, message.payload, message.body
),
recorded AS (
    -- Where the topic keeps a history.
    INSERT INTO outtray.history
        (day, topic, id, how, ended_at, key, kind, sent_at, attempts, failures, headers, payload, body)
    SELECT
        pg_catalog.floor(extract(epoch FROM clock_timestamp() + topic.keep_done_ms::float8 * interval '1 millisecond') / 86400::numeric)::bigint,
        removed.topic, removed.id, 'cancelled', clock_timestamp(), removed.key,
        CASE WHEN strpos(removed.headers::text, chr(92) || 'u'::text) = 0 THEN removed.headers ->> 'message-type'::text END,
        removed.sent_at, greatest(removed.attempts, 0), removed.failures,
        CASE WHEN topic.keep_done_payload THEN removed.headers END,
        CASE WHEN topic.keep_done_payload THEN removed.payload END,
        CASE WHEN topic.keep_done_payload THEN removed.body END
    FROM removed
    JOIN outtray.topic
        ON topic.topic = removed.topic
    WHERE topic.keep_done_ms IS NOT NULL
),
counted AS (
    SELECT
        (SELECT count(*) FROM removed) AS removed,
        (SELECT count(*) FROM wanted) AS wanted
)
SELECT removed.id
FROM removed
UNION ALL
SELECT NULL
FROM counted
WHERE CASE
    WHEN counted.removed <> counted.wanted THEN outtray.miscounted(counted.removed, counted.wanted)
    ELSE false
END
