-- Returns in how many microseconds the next scheduled message is due; no row when none waits.
-- Index: scheduled_due.
SELECT greatest(0, (extract(epoch FROM scheduled.due_at - clock_timestamp()) * 1000000)::bigint) AS due_us
FROM outtray.scheduled
ORDER BY scheduled.due_at
LIMIT 1
