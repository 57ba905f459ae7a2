-- Stores entries of a log in topic $1, that of what their reader set aside: ids $2, keys $3, when
-- they were sent $4 in microseconds since 1970, headers $5, and of each either JSON $6 or bytes $7.
-- What becomes of each says $8: 'retry' after attempts $9 and in $10 microseconds, because of $11;
-- 'dead' for reason $12; or 'follow', behind what is there of its key, which is said by $13 to be
-- stalled. What is kept of each attempt, if it was one, says $14. The caller locked the lanes of
-- the keys that wait. An entry that is read once more, from an earlier place, takes the place of
-- its own dead letter, and waits once: where it waits behind others, it goes to the end, after
-- what was read before it; where it is ready, in work or scheduled, it stays. What finds it there
-- is $15. Indexes: the primary keys, message_tracked, follower_tracked.
WITH given AS MATERIALIZED (
    SELECT
        $1::text AS topic, given.id, given.key, given.headers::json AS headers, given.payload::json AS payload, given.body,
        timestamptz '1970-01-01 00:00:00+00' + given.sent_us::float8 * interval '1 microsecond' AS sent_at,
        given.fate, given.attempts, given.delay_us, given.error, given.reason, given.failure,
        CASE WHEN given.key IS NOT NULL THEN nextval('outtray.message_seq'::regclass) END AS seq
    FROM unnest(
            $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bytea[], $8::text[],
            $9::smallint[], $10::bigint[], $11::text[], $12::text[], $14::text[]
        ) AS given (id, key, sent_us, headers, payload, body, fate, attempts, delay_us, error, reason, failure)
),
aside AS MATERIALIZED (
    SELECT given.*
    FROM given
    WHERE NOT EXISTS (
            SELECT
            FROM (
                SELECT message.topic FROM outtray.message WHERE message.id = given.id AND message.on_end IS NOT NULL OFFSET 0
            ) AS there
            WHERE there.topic = $1::text
        )
        AND NOT EXISTS (
            SELECT FROM outtray.scheduled
            WHERE scheduled.topic = $1::text AND scheduled.id = given.id
            OFFSET 0
        )
),
-- Those that wait behind others already.
behind AS MATERIALIZED (
    SELECT found.topic, found.key, found.seq
    FROM aside
    CROSS JOIN LATERAL (
        SELECT follower.topic, follower.key, follower.seq
        FROM outtray.follower
        WHERE follower.id = aside.id
            AND follower.on_end IS NOT NULL
        OFFSET 0
    ) AS found
    WHERE aside.fate = 'follow'
        AND found.topic = $1::text
        AND found.key = aside.key
),
put_last AS (
    -- By all of the key, as in `acknowledge`.
    DELETE FROM outtray.follower
    USING behind
    WHERE follower.topic = ANY (ARRAY[behind.topic])
        AND follower.key = behind.key
        AND follower.seq = behind.seq
),
redriven AS (
    -- By all of the key, as in `acknowledge`.
    DELETE FROM outtray.dead_letter
    USING (
        SELECT aside.topic, aside.id
        FROM aside
        -- Always so, as in `bury`.
        WHERE aside.id BETWEEN '00000000-0000-0000-0000-000000000000' AND 'ffffffff-ffff-ffff-ffff-ffffffffffff'
            AND aside.fate <> 'dead'
        OFFSET 0
    ) AS aside
    WHERE dead_letter.topic = ANY (ARRAY[aside.topic])
        AND dead_letter.id = aside.id
),
retried AS (
    INSERT INTO outtray.scheduled
        (topic, rank, id, attempts, sent_at, headers, payload, body, key, on_end, seq, due_at, error, failures)
    SELECT
        $1::text, 0, aside.id, aside.attempts, aside.sent_at, aside.headers, aside.payload, aside.body,
        aside.key, $15::smallint, aside.seq,
        -- Not now(): the transaction may have begun long ago.
        clock_timestamp() + aside.delay_us::float8 * interval '1 microsecond', aside.error,
        outtray.with_failure(NULL, aside.failure, (extract(epoch FROM clock_timestamp()) * 1000000::numeric)::bigint)
    FROM aside
    WHERE aside.fate = 'retry'
    ON CONFLICT (topic, id) DO NOTHING
),
lined_up AS (
    INSERT INTO outtray.follower (topic, key, seq, rank, id, sent_at, on_end, headers, payload, body)
    SELECT
        $1::text, aside.key, aside.seq, 0, aside.id, aside.sent_at, $15::smallint,
        aside.headers, aside.payload, aside.body
    FROM aside
    WHERE aside.fate = 'follow'
),
recorded AS (
    -- Where the topic keeps a history.
    INSERT INTO outtray.history
        (day, topic, id, how, ended_at, key, kind, sent_at, attempts, reason, error, failures, headers, payload, body)
    SELECT
        pg_catalog.floor(extract(epoch FROM clock_timestamp() + topic.keep_done_ms::float8 * interval '1 millisecond') / 86400::numeric)::bigint,
        aside.topic, aside.id, 'dead', clock_timestamp(), aside.key,
        CASE WHEN strpos(aside.headers::text, chr(92) || 'u'::text) = 0 THEN aside.headers ->> 'message-type'::text END,
        aside.sent_at, greatest(aside.attempts, 0), aside.reason, aside.error, outtray.with_failure(NULL, aside.failure, (extract(epoch FROM clock_timestamp()) * 1000000::numeric)::bigint),
        CASE WHEN topic.keep_done_payload THEN aside.headers END,
        CASE WHEN topic.keep_done_payload THEN aside.payload END,
        CASE WHEN topic.keep_done_payload THEN aside.body END
    FROM aside
    JOIN outtray.topic
        ON topic.topic = aside.topic
    WHERE topic.keep_done_ms IS NOT NULL
        AND aside.fate = 'dead'
),
stuck AS (
    INSERT INTO outtray.stalled (topic, key, said_by)
    SELECT DISTINCT $1::text, aside.key, $13::uuid
    FROM aside
    WHERE aside.fate = 'follow'
)
INSERT INTO outtray.dead_letter
    (topic, id, rank, attempts, reason, error, sent_at, died_at, headers, payload, body, key, on_end, seq, failures)
SELECT
    $1::text, aside.id, 0, aside.attempts, aside.reason, aside.error, aside.sent_at, clock_timestamp(),
    aside.headers, aside.payload, aside.body, aside.key, $15::smallint, aside.seq,
    outtray.with_failure(NULL, aside.failure, (extract(epoch FROM clock_timestamp()) * 1000000::numeric)::bigint)
FROM aside
WHERE aside.fate = 'dead'
ON CONFLICT (topic, id) DO UPDATE
SET attempts = excluded.attempts, reason = excluded.reason, error = excluded.error,
    died_at = excluded.died_at, seq = excluded.seq, failures = excluded.failures
