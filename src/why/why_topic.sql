-- Returns what is known of topic $1 that may keep its messages, and of the bucket of its key $2:
-- when and by whom it was paused, for how long it stays suspect, its settings, in how long its
-- buckets are full, the transactions that have or had its slots, whether it was ever in strict
-- order, and how many of its messages are leased. And of its message $3 since when somebody asks
-- for it to be given up, and in how many deaths of processes it is counted. Index: the primary
-- keys, change_topic, and scheduled_leased.
SELECT
    (extract(epoch FROM least(clock_timestamp(), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS now_us,
    mine.paused_at_us, mine.paused_by, mine.suspect_us, mine.config, mine.is_log,
    (
        SELECT (extract(epoch FROM
            least(greatest(bucket.full_at, clock_timestamp()), clock_timestamp() + interval '1 year') - clock_timestamp()
        ) * 1000000::numeric)::bigint
        FROM outtray.bucket
        WHERE bucket.topic = $1::text
            AND bucket.key = ''
    ) AS full_us,
    (
        SELECT (extract(epoch FROM
            least(greatest(bucket.full_at, clock_timestamp()), clock_timestamp() + interval '1 year') - clock_timestamp()
        ) * 1000000::numeric)::bigint
        FROM outtray.bucket
        WHERE bucket.topic = $1::text
            AND bucket.key = $2::text
    ) AS key_full_us,
    (
        SELECT (extract(epoch FROM least(greatest(cancellation.asked_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint
        FROM outtray.cancellation
        WHERE cancellation.topic = $1::text
            AND cancellation.id = $3::uuid
    ) AS cancelled_at_us,
    (
        SELECT attempt.attempts::bigint
        FROM outtray.attempt
        WHERE attempt.topic = $1::text
            AND attempt.id = $3::uuid
    ) AS deaths,
    EXISTS (SELECT FROM outtray.turn WHERE turn.topic = $1::text) AS has_turn,
    (
        -- Of a topic without a limit nobody asks.
        SELECT count(*)
        FROM (
            SELECT FROM outtray.scheduled
            WHERE scheduled.topic COLLATE "POSIX" = $1::text
                AND scheduled.receipt IS NOT NULL
                AND mine.max_in_work IS NOT NULL
            ORDER BY scheduled.seq
            LIMIT 10001
        ) AS counted
    ) AS leased,
    ARRAY(
        SELECT slot.xmax::text
        FROM outtray.slot
        WHERE slot.topic = $1::text
            AND slot.number <= mine.max_in_work
            AND slot.xmax::text <> '0'::text
        ORDER BY slot.number
    ) AS slot_holders
FROM (SELECT 1 AS one) AS always
LEFT JOIN LATERAL (
    SELECT
        CASE WHEN topic.paused_at IS NOT NULL THEN (extract(epoch FROM least(greatest(topic.paused_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint END AS paused_at_us,
        (
            SELECT change.operator
            FROM outtray.change
            WHERE change.topic COLLATE "POSIX" = $1::text
                AND change.at = topic.paused_at
                AND change.what = 'paused'::text
            LIMIT 1
        ) AS paused_by,
        CASE
            WHEN topic.suspect_until > now() AND topic.suspect_until <= now() + interval '5 minutes'
            THEN (extract(epoch FROM least(topic.suspect_until, now() + interval '5 minutes') - now()) * 1000000::numeric)::bigint
        END AS suspect_us,
        topic.config::text AS config, topic.is_log, topic.max_in_work
    FROM outtray.topic
    WHERE topic.topic = $1::text
) AS mine ON true
