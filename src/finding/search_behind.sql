-- Looks at up to $4 messages of topic $1 that wait behind others of their keys, in the order of key
-- and seq after key $2 and seq $3; of those with the key $5 alone, unless that is NULL. Returns the
-- first $6 that a filter wants (steps $7, names $8, operands $9; NULL: any) and that were sent from
-- $10 to before $11, and how many it looked at, as `search_ready` does. Index: the primary key.
WITH looked_at AS MATERIALIZED (
    (
        SELECT follower.key, follower.seq, follower.rank, follower.id, follower.sent_at, follower.headers
        FROM outtray.follower
        WHERE $5::text IS NULL
            AND follower.topic = $1::text
            AND (follower.key, follower.seq) > ($2::text, $3::bigint)
        ORDER BY follower.key, follower.seq
        LIMIT $4::bigint
    )
    UNION ALL
    (
        SELECT follower.key, follower.seq, follower.rank, follower.id, follower.sent_at, follower.headers
        FROM outtray.follower
        WHERE follower.topic = $1::text
            AND follower.key = $5::text
            AND (follower.key, follower.seq) > ($2::text, $3::bigint)
        ORDER BY follower.key, follower.seq
        LIMIT $4::bigint
    )
),
wanted AS MATERIALIZED (
    SELECT looked_at.key, looked_at.seq, looked_at.rank, looked_at.id
    FROM looked_at
    WHERE looked_at.sent_at >= timestamptz '1970-01-01 00:00:00+00' + $10::bigint::float8 * interval '1 microsecond'
        AND looked_at.sent_at < timestamptz '1970-01-01 00:00:00+00' + $11::bigint::float8 * interval '1 microsecond'
        AND ($7::text[] IS NULL OR outtray.matches(looked_at.headers, $7::text[], $8::text[], (SELECT $9::text[]::jsonb[])))
    ORDER BY looked_at.key, looked_at.seq
    LIMIT $6::bigint
),
last AS MATERIALIZED (
    SELECT looked_at.key, looked_at.seq
    FROM looked_at
    ORDER BY looked_at.key DESC, looked_at.seq DESC
    LIMIT 1
)
SELECT wanted.id, wanted.rank, wanted.seq, wanted.key, 0::bigint AS segment, 0::bigint AS looked_at
FROM wanted
UNION ALL
SELECT NULL, 0::smallint, last.seq, last.key, 0, (SELECT count(*) FROM looked_at)
FROM last
