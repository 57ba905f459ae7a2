-- Takes the messages behind others of their keys (topics $1, keys $2) whose time is over, $5 at
-- most: they become dead letters with the error $4, but those of the topics $3 are gone. Returns
-- them all, with their keys only where what comes after them is to be parked: nobody else waited
-- for these. The caller holds the lanes. Index: the primary keys.
WITH late AS MATERIALIZED (
    SELECT found.topic, found.key, found.seq
    FROM unnest($1::text[], $2::text[]) AS held (topic, key)
    CROSS JOIN LATERAL (
        SELECT follower.topic, follower.key, follower.seq, follower.id, follower.expires_at, follower.on_end
        FROM outtray.follower
        WHERE follower.topic = held.topic
            AND follower.key = held.key
        OFFSET 0
    ) AS found
    WHERE found.expires_at <= clock_timestamp()
        AND (
            found.topic = ANY ($3::text[])
            OR coalesce(found.on_end, 0::smallint) & 8::smallint <> 0::smallint
            OR (
                -- Not what is a dead letter already, written twice: the others go on.
                SELECT dead_letter.id
                FROM outtray.dead_letter
                WHERE dead_letter.topic = found.topic
                    AND dead_letter.id = found.id
                LIMIT 1
            ) IS NULL
        )
    LIMIT $5::bigint
),
taken AS (
    -- By all of the key, as in `acknowledge`.
    DELETE FROM outtray.follower
    USING late
    WHERE follower.topic = ANY (ARRAY[late.topic])
        AND follower.key = late.key
        AND follower.seq = late.seq
    RETURNING
        follower.topic, follower.rank, follower.seq, follower.id, follower.attempts, follower.sent_at,
        follower.headers, follower.payload, follower.body, follower.key, follower.expires_at, follower.on_end,
        follower.failures
),
recorded AS (
    -- Where the topic keeps a history.
    INSERT INTO outtray.history
        (day, topic, id, how, ended_at, key, kind, sent_at, attempts, reason, error, failures, headers, payload, body)
    SELECT
        pg_catalog.floor(extract(epoch FROM clock_timestamp() + topic.keep_done_ms::float8 * interval '1 millisecond') / 86400::numeric)::bigint,
        taken.topic, taken.id, CASE WHEN fate.is_dead THEN 'dead' ELSE 'expired' END, clock_timestamp(), taken.key,
        CASE WHEN strpos(taken.headers::text, chr(92) || 'u'::text) = 0 THEN taken.headers ->> 'message-type'::text END,
        taken.sent_at, greatest(taken.attempts, 0), CASE WHEN fate.is_dead THEN 'expired' END, CASE WHEN fate.is_dead THEN $4::text END, taken.failures,
        CASE WHEN topic.keep_done_payload THEN taken.headers END,
        CASE WHEN topic.keep_done_payload THEN taken.payload END,
        CASE WHEN topic.keep_done_payload THEN taken.body END
    FROM taken
    JOIN outtray.topic
        ON topic.topic = taken.topic
    CROSS JOIN LATERAL (
        SELECT taken.topic <> ALL ($3::text[]) AND coalesce(taken.on_end, 0::smallint) & 8::smallint = 0::smallint AS is_dead
    ) AS fate
    WHERE topic.keep_done_ms IS NOT NULL
),
kept AS (
    INSERT INTO outtray.dead_letter
        (topic, id, rank, attempts, reason, error, sent_at, died_at, headers, payload, body,
        key, expires_at, on_end, seq, failures)
    SELECT
        taken.topic, taken.id, taken.rank, taken.attempts, 'expired', $4::text,
        taken.sent_at, clock_timestamp(), taken.headers, taken.payload, taken.body,
        taken.key, taken.expires_at, taken.on_end, taken.seq, taken.failures
    FROM taken
    WHERE taken.topic <> ALL ($3::text[])
        -- Not what is dropped whatever its topic says.
        AND coalesce(taken.on_end, 0::smallint) & 8::smallint = 0::smallint
    -- Two of one id, written by hand, are one.
    ON CONFLICT (topic, id) DO NOTHING
)
SELECT
    taken.topic, taken.rank, taken.seq, taken.id,
    CASE
        WHEN (
            SELECT topic.poisoned_key FROM outtray.topic WHERE topic.topic = taken.topic
        ) = 'park' AND taken.topic <> ALL ($3::text[])
        THEN taken.key
    END AS key,
    taken.on_end
FROM taken
