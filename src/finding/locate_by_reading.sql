-- Returns where message $1 is on the topics from $2 to $3, among the messages that are ready or
-- behind others of their keys and not tracked: no index has their ids. Reads the tables, or the
-- topics, once.
SELECT 'ready' AS place, message.topic, message.rank, message.seq, NULL::text AS key, 0::bigint AS segment
FROM outtray.message
WHERE message.id = $1::uuid
    AND message.topic BETWEEN $2::text AND $3::text
    AND message.on_end IS NULL
UNION ALL
SELECT 'behind', follower.topic, follower.rank, follower.seq, follower.key, 0
FROM outtray.follower
WHERE follower.id = $1::uuid
    AND follower.topic BETWEEN $2::text AND $3::text
    AND follower.on_end IS NULL
LIMIT 1
