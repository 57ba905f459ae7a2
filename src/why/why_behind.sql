-- Returns what is known of message $4 of topic $1, which waits behind others of its key $2 at seq
-- $3: how many wait in front of it, counted up to $5, and the dead letter of its key that comes
-- before it, if there is one. Index: the primary key, and dead_letter_key.
SELECT
    mine.id, mine.key, mine.attempts, mine.headers::text, mine.payload::text, mine.body, mine.failures::text,
    (extract(epoch FROM least(greatest(mine.sent_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS sent_at_us,
    CASE WHEN mine.expires_at IS NOT NULL THEN (extract(epoch FROM least(greatest(mine.expires_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint END AS expires_at_us,
    (
        SELECT count(*)
        FROM (
            SELECT FROM outtray.follower
            WHERE follower.topic = $1::text
                AND follower.key = $2::text
                AND follower.seq < $3::bigint
            ORDER BY follower.seq
            LIMIT $5::bigint
        ) AS counted
    ) AS ahead,
    (
        SELECT dead_letter.id
        FROM outtray.dead_letter
        WHERE dead_letter.topic COLLATE "POSIX" = $1::text
            AND dead_letter.key = $2::text
            AND dead_letter.seq < $3::bigint
        ORDER BY dead_letter.seq
        LIMIT 1
    ) AS dead_id
FROM (
    SELECT
        follower.id, follower.key, follower.attempts, follower.failures, follower.headers, follower.payload, follower.body,
        follower.sent_at, follower.expires_at
    FROM outtray.follower
    WHERE follower.topic = $1::text
        AND follower.key = $2::text
        AND follower.seq = $3::bigint
        AND follower.id = $4::uuid
) AS mine
