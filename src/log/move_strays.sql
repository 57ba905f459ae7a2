-- Moves up to $2 messages of the topic $1 that lie among those of queues into its log, in their
-- order: a sender did not know yet that it is one, or they waited for their time. Returns how many.
-- Index: the primary key, behind a fence.
WITH strays AS MATERIALIZED (
    SELECT message.ctid AS place, log.segment
    FROM outtray.message
    JOIN outtray.log ON log.topic = message.topic
    WHERE message.topic = $1::text
    ORDER BY message.rank, message.seq
    LIMIT $2::bigint
    FOR UPDATE OF message SKIP LOCKED
),
taken AS (
    DELETE FROM outtray.message
    WHERE message.ctid = ANY (ARRAY(SELECT strays.place FROM strays))
        AND (message.topic = $1::text) IS TRUE
    RETURNING
        message.rank, message.seq, message.id, message.sent_at, message.key, message.headers,
        message.payload, message.body
),
moved AS (
    INSERT INTO outtray.log_entry (topic, segment, id, sent_at, key, headers, payload, body)
    SELECT
        $1::text, (SELECT strays.segment FROM strays LIMIT 1), taken.id, taken.sent_at, taken.key,
        taken.headers, taken.payload, taken.body
    FROM taken
    ORDER BY taken.rank, taken.seq
    RETURNING id
)
SELECT count(moved.id) AS moved FROM moved
