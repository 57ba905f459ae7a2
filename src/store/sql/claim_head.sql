-- Locks the first message of topic $1, due or not; the caller holds the topic's turn.
-- wait_us is how long a failed head is to be left alone; nothing overtakes it meanwhile.
-- Index: the primary key.
SELECT
    head.rank, head.seq, head.id, head.attempts,
    (extract(epoch FROM head.sent_at) * 1000000)::bigint AS sent_at_us,
    head.headers, head.payload, head.body,
    head.key, head.on_end, head.expires_at <= now() AS is_expired,
    greatest(0, (extract(epoch FROM head.not_before - clock_timestamp()) * 1000000)::bigint) AS wait_us
FROM outtray.message AS head
WHERE head.topic = $1::text
ORDER BY head.rank, head.seq
LIMIT 1
FOR UPDATE
