-- Returns what is due first of each kind, and for how many milliseconds it has been; negative
-- numbers lie ahead. Index: scheduled_due, recurring_next.
SELECT
    first.what,
    (extract(epoch FROM
        clock_timestamp() - least(greatest(first.due_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')
    ) * 1000::numeric)::bigint AS late_ms
FROM (
    (
        SELECT 'a scheduled or leased message has been due' AS what, scheduled.due_at
        FROM outtray.scheduled
        WHERE scheduled.due_at < 'infinity'
        ORDER BY scheduled.due_at
        LIMIT 1
    )
    UNION ALL
    (
        SELECT 'a recurring message has been due' AS what, recurring.next_at AS due_at
        FROM outtray.recurring
        WHERE recurring.paused_at IS NULL
        ORDER BY recurring.next_at
        LIMIT 1
    )
) AS first
