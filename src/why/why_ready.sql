-- Returns what is known of message $4 of topic $1, which is ready or in work at rank $2 and seq $3:
-- with the transaction that has its row in hand or had it last, how long it is to be left alone
-- yet, when it expires, and how many messages come before it in the order of claims, counted up to
-- $5. And the first message of the topic. Index: the primary keys.
SELECT
    mine.id, mine.key, mine.attempts, mine.headers::text, mine.payload::text, mine.body, mine.failures::text,
    (extract(epoch FROM least(greatest(mine.sent_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS sent_at_us,
    nullif(mine.locker, '0'::text) AS holder,
    CASE
        WHEN mine.not_before > clock_timestamp()
        THEN (extract(epoch FROM least(mine.not_before, clock_timestamp() + interval '1 year') - clock_timestamp()) * 1000000::numeric)::bigint
    END AS left_us,
    CASE WHEN mine.expires_at IS NOT NULL THEN (extract(epoch FROM least(greatest(mine.expires_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint END AS expires_at_us,
    (
        SELECT count(*)
        FROM (
            SELECT FROM outtray.message
            WHERE message.topic = $1::text
                AND (message.rank, message.seq) < ($2::smallint, $3::bigint)
            ORDER BY message.rank, message.seq
            LIMIT $5::bigint
        ) AS counted
    ) AS ahead,
    head.id AS head_id, head.left_us AS head_left_us, head.holder AS head_holder
FROM (
    SELECT
        message.id, message.key, message.attempts, message.failures, message.sent_at, message.headers, message.payload,
        message.body, message.not_before, message.expires_at, message.xmax::text AS locker
    FROM outtray.message
    WHERE message.topic = $1::text
        AND message.rank = $2::smallint
        AND message.seq = $3::bigint
        AND message.id = $4::uuid
) AS mine
CROSS JOIN LATERAL (
    SELECT
        message.id, nullif(message.xmax::text, '0'::text) AS holder,
        CASE
            WHEN message.not_before > clock_timestamp()
            THEN (extract(epoch FROM least(message.not_before, clock_timestamp() + interval '1 year') - clock_timestamp()) * 1000000::numeric)::bigint
        END AS left_us
    FROM outtray.message
    WHERE message.topic = $1::text
    ORDER BY message.rank, message.seq
    LIMIT 1
) AS head
