-- Returns for each of the topics $1 whether it has a ready message, how many milliseconds it stays suspect, and
-- (on each row) in how many microseconds the next scheduled message of any topic is due, or NULL, and when the settings
-- of any topic changed last, and whether keys are stalled.
-- Index: the primary keys, and scheduled_due. One query for a whole process.
SELECT
    mine.topic,
    EXISTS (
        SELECT FROM outtray.message
        WHERE message.topic = mine.topic
            AND (message.not_before IS NULL OR message.not_before <= now())
    ) AS is_ready,
    coalesce(greatest(0, (extract(epoch FROM topic.suspect_until - now()) * 1000)::bigint), 0) AS suspect_ms,
    (
        -- No row, and so NULL, when nothing waits: greatest(0, NULL) would be 0, due at once, for ever.
        SELECT greatest(0, (extract(epoch FROM scheduled.due_at - now()) * 1000000)::bigint)
        FROM outtray.scheduled
        WHERE scheduled.due_at < 'infinity'
        ORDER BY scheduled.due_at
        LIMIT 1
    ) AS due_us,
    (
        -- A sum, not the last: of two changes the one that was made first may commit last.
        SELECT sum((extract(epoch FROM changed.changed_at) * 1000000)::bigint)::text
        FROM outtray.topic AS changed
    ) AS changed_at,
    EXISTS (SELECT FROM outtray.stalled) AS has_stalled
FROM unnest($1::text[]) AS mine (topic)
LEFT JOIN outtray.topic ON topic.topic = mine.topic
