-- Moves the lines of keys $2 of topic $1 on: the first followers become ready, as many as may be in work, each in its
-- own place; the lanes of keys that have nothing left go. The caller locked the lanes in a statement before, so
-- that this one sees all that the last holder did; the keys that $3 says are stalled it did not get.
-- Returns the places of those that became ready: they lie before where claims look.
-- A dead letter holds what comes after it, if the topic's settings say so; what is to be parked becomes stalled.
-- Indexes: message_key, scheduled_key, dead_letter_key, the primary keys.
WITH line AS MATERIALIZED (
    SELECT
        mine.key, dead.seq AS held_after, terms.is_parking,
        (SELECT count(*) FROM outtray.message WHERE message.topic = $1::text AND message.key = mine.key)
        + (
            SELECT count(*) FROM outtray.scheduled
            WHERE scheduled.topic = $1::text AND scheduled.key = mine.key AND scheduled.seq IS NOT NULL
        ) AS active,
        terms.most,
        EXISTS (
            SELECT FROM outtray.follower WHERE follower.topic = $1::text AND follower.key = mine.key
        ) AS has_followers
    FROM unnest($2::text[]) AS mine (key)
    CROSS JOIN (
        SELECT
            coalesce(max((topic.config ->> 'max_in_work_per_key')::bigint), 1) AS most,
            coalesce(max(topic.config ->> 'poisoned_key'), 'skip') <> 'skip' AS is_holding,
            coalesce(max(topic.config ->> 'poisoned_key'), 'skip') = 'park' AS is_parking
        FROM outtray.topic
        WHERE topic.topic = $1::text
    ) AS terms
    LEFT JOIN LATERAL (
        SELECT dead_letter.seq
        FROM outtray.dead_letter
        WHERE terms.is_holding
            AND dead_letter.topic = $1::text
            AND dead_letter.key = mine.key
            AND dead_letter.seq IS NOT NULL
        ORDER BY dead_letter.seq
        LIMIT 1
    ) AS dead ON true
    WHERE NOT EXISTS (
        SELECT FROM outtray.stalled
        WHERE stalled.topic = $1::text AND stalled.key = mine.key AND stalled.said_by = $3::uuid
    )
),
first AS MATERIALIZED (
    SELECT line.key, waiting.seq
    FROM line
    CROSS JOIN LATERAL (
        SELECT follower.seq
        FROM outtray.follower
        WHERE follower.topic = $1::text
            AND follower.key = line.key
            AND (line.held_after IS NULL OR follower.seq < line.held_after)
        ORDER BY follower.seq
        LIMIT greatest(line.most - line.active, 0)
    ) AS waiting
),
taken AS (
    DELETE FROM outtray.follower
    USING first
    WHERE follower.topic = $1::text
        AND follower.key = first.key
        AND follower.seq = first.seq
    RETURNING
        follower.topic, follower.rank, follower.seq, follower.id, follower.attempts, follower.sent_at,
        follower.key, follower.expires_at, follower.on_end, follower.headers, follower.payload, follower.body
),
moved AS (
    INSERT INTO outtray.message
        (topic, rank, seq, id, attempts, sent_at, key, expires_at, on_end, headers, payload, body)
    SELECT
        taken.topic, taken.rank, taken.seq, taken.id, taken.attempts, taken.sent_at,
        taken.key, taken.expires_at, taken.on_end, taken.headers, taken.payload, taken.body
    FROM taken
    RETURNING rank, seq
),
to_be_parked AS (
    INSERT INTO outtray.stalled (topic, key, said_by)
    SELECT $1::text, line.key, $3::uuid
    FROM line
    WHERE line.is_parking
        AND EXISTS (
            SELECT FROM outtray.follower
            WHERE follower.topic = $1::text AND follower.key = line.key AND follower.seq > line.held_after
        )
),
left_alone AS (
    DELETE FROM outtray.lane
    USING line
    WHERE lane.topic = $1::text
        AND lane.key = line.key
        AND line.active = 0
        AND NOT line.has_followers
)
SELECT moved.rank AS promoted_rank, moved.seq AS promoted_seq
FROM moved
