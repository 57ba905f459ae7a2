-- Returns what is known of message $2 of topic $1, which is scheduled or leased: when it is due
-- (NULL if it comes after others), why it is tried again, with up to $3 of the messages that it
-- comes after, and the transaction that has its row in hand or had it last. Index: the primary
-- keys.
SELECT
    mine.id, mine.key, mine.attempts, mine.headers::text, mine.payload::text, mine.body, mine.failures::text, mine.error,
    mine.receipt IS NOT NULL AS is_leased,
    coalesce(mine.is_cancelled, false) AS is_cancelled,
    nullif(mine.locker, '0'::text) AS holder,
    (extract(epoch FROM least(greatest(mine.sent_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS sent_at_us,
    CASE WHEN mine.expires_at IS NOT NULL THEN (extract(epoch FROM least(greatest(mine.expires_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint END AS expires_at_us,
    CASE
        WHEN mine.due_at < 'infinity'
        THEN (extract(epoch FROM least(greatest(mine.due_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint
    END AS due_at_us,
    CASE
        WHEN mine.due_at < 'infinity'
        THEN greatest((extract(epoch FROM
            least(greatest(mine.due_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00') - clock_timestamp()
        ) * 1000000::numeric)::bigint, 0::bigint)
    END AS due_in_us,
    ARRAY(
        SELECT dependency.on_id
        FROM outtray.dependency
        WHERE dependency.topic = $1::text
            AND dependency.id = $2::uuid
        ORDER BY dependency.on_id
        LIMIT $3::bigint
    ) AS after,
    ARRAY(
        SELECT dependency.needs_success
        FROM outtray.dependency
        WHERE dependency.topic = $1::text
            AND dependency.id = $2::uuid
        ORDER BY dependency.on_id
        LIMIT $3::bigint
    ) AS needs
FROM (
    SELECT
        scheduled.id, scheduled.key, scheduled.attempts, scheduled.failures, scheduled.headers, scheduled.payload, scheduled.body,
        scheduled.error, scheduled.receipt, scheduled.is_cancelled, scheduled.sent_at, scheduled.expires_at,
        scheduled.due_at, scheduled.xmax::text AS locker
    FROM outtray.scheduled
    WHERE scheduled.topic = $1::text
        AND scheduled.id = $2::uuid
) AS mine
