-- Notes that those of the messages $1 that are in somebody's hands are to be given up. Returns them.
-- Index: message_tracked. Only if that does not have all of them, the table is read.
WITH tracked AS MATERIALIZED (
    SELECT message.topic, message.id
    FROM outtray.message
    WHERE message.id = ANY ($1::uuid[])
        AND message.on_end IS NOT NULL
),
others AS MATERIALIZED (
    SELECT message.topic, message.id
    FROM outtray.message
    WHERE message.id = ANY ($1::uuid[])
        AND message.on_end IS NULL
        AND (SELECT count(*) FROM tracked) < cardinality($1::uuid[])
)
INSERT INTO outtray.cancellation (topic, id)
SELECT tracked.topic, tracked.id FROM tracked
UNION ALL SELECT others.topic, others.id FROM others
-- One that was asked for before is asked for again.
ON CONFLICT (topic, id) DO UPDATE SET asked_at = excluded.asked_at
RETURNING cancellation.id
