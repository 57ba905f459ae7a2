-- Returns up to $3 messages of key $2 of topic $1 that are out of its line, and so keep the others
-- in it: those that are ready or in work, each with the transaction that has it in hand or had it
-- last, and those that are scheduled or leased, each with in how long it is due. Index:
-- message_key, scheduled_key.
(
    SELECT
        message.id, nullif(message.xmax::text, '0'::text) AS holder, false AS is_leased, false AS is_scheduled,
        CASE
            WHEN message.not_before > clock_timestamp()
            THEN (extract(epoch FROM least(message.not_before, clock_timestamp() + interval '1 year') - clock_timestamp()) * 1000000::numeric)::bigint
        END AS left_us
    FROM outtray.message
    WHERE message.topic COLLATE "POSIX" = $1::text
        AND message.key = $2::text
    LIMIT $3::bigint
)
UNION ALL
(
    SELECT
        scheduled.id, NULL AS holder, scheduled.receipt IS NOT NULL AS is_leased, true AS is_scheduled,
        greatest((extract(epoch FROM
            least(greatest(scheduled.due_at, clock_timestamp()), clock_timestamp() + interval '1 year') - clock_timestamp()
        ) * 1000000::numeric)::bigint, 0::bigint) AS left_us
    FROM outtray.scheduled
    WHERE scheduled.topic COLLATE "POSIX" = $1::text
        AND scheduled.key = $2::text
        AND scheduled.seq IS NOT NULL
    LIMIT $3::bigint
)
