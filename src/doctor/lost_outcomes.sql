-- Returns tracked messages that are pending and not there any more, of 10,000 that are looked at,
-- up to 50, each with the statement that says that it is over. Index: message_tracked,
-- follower_tracked, and the primary key of scheduled.
SELECT
    lost.topic, lost.id::text,
    format(
        'UPDATE outtray.outcome SET state = ''purged'', ended_at = now() WHERE topic = %L AND id = %L AND state = ''pending'';',
        lost.topic, lost.id
    ) AS remedy
FROM (
    SELECT pending.topic, pending.id
    FROM (
        SELECT outcome.topic, outcome.id
        FROM outtray.outcome
        WHERE outcome.state = 'pending'::text
        LIMIT 10000
    ) AS pending
    WHERE NOT EXISTS (
        SELECT FROM outtray.message
        WHERE message.id = pending.id AND message.on_end IS NOT NULL
        OFFSET 0
    )
        AND NOT EXISTS (
            SELECT FROM outtray.follower
            WHERE follower.id = pending.id AND follower.on_end IS NOT NULL
            OFFSET 0
        )
        AND NOT EXISTS (
            SELECT FROM outtray.scheduled
            WHERE scheduled.topic = pending.topic AND scheduled.id = pending.id
            OFFSET 0
        )
        AND NOT EXISTS (
            SELECT FROM outtray.dead_letter
            WHERE dead_letter.topic = pending.topic AND dead_letter.id = pending.id
            OFFSET 0
        )
    LIMIT 50
) AS lost
