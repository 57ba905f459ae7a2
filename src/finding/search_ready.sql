-- Looks at up to $4 messages of topic $1 that are ready or in work, in claim order after rank $2
-- and seq $3; of those with the key $5 alone, unless that is NULL. Returns the first $6 that a
-- filter wants (steps $7, names $8, operands $9 for `outtray.matches`; NULL: any) and that were
-- sent from $10 to before $11, in microseconds since 1970; and with them, without an id, how many
-- it looked at, and the last of these. Index: the primary key, or message_key.
WITH looked_at AS MATERIALIZED (
    (
        SELECT message.rank, message.seq, message.id, message.sent_at, message.headers
        FROM outtray.message
        WHERE $5::text IS NULL
            AND message.topic = $1::text
            AND (message.rank, message.seq) > ($2::smallint, $3::bigint)
        ORDER BY message.rank, message.seq
        LIMIT $4::bigint
    )
    UNION ALL
    (
        SELECT keyed.rank, keyed.seq, keyed.id, keyed.sent_at, keyed.headers
        FROM (
            -- Heads of one key are few.
            SELECT message.rank, message.seq, message.id, message.sent_at, message.headers
            FROM outtray.message
            WHERE message.topic COLLATE "POSIX" = $1::text
                AND message.key = $5::text
            OFFSET 0
        ) AS keyed
        WHERE (keyed.rank, keyed.seq) > ($2::smallint, $3::bigint)
        ORDER BY keyed.rank, keyed.seq
        LIMIT $4::bigint
    )
),
wanted AS MATERIALIZED (
    SELECT looked_at.rank, looked_at.seq, looked_at.id
    FROM looked_at
    WHERE looked_at.sent_at >= timestamptz '1970-01-01 00:00:00+00' + $10::bigint::float8 * interval '1 microsecond'
        AND looked_at.sent_at < timestamptz '1970-01-01 00:00:00+00' + $11::bigint::float8 * interval '1 microsecond'
        AND ($7::text[] IS NULL OR outtray.matches(looked_at.headers, $7::text[], $8::text[], (SELECT $9::text[]::jsonb[])))
    ORDER BY looked_at.rank, looked_at.seq
    LIMIT $6::bigint
),
last AS MATERIALIZED (
    SELECT looked_at.rank, looked_at.seq
    FROM looked_at
    ORDER BY looked_at.rank DESC, looked_at.seq DESC
    LIMIT 1
)
SELECT wanted.id, wanted.rank, wanted.seq, NULL::text AS key, 0::bigint AS segment, 0::bigint AS looked_at
FROM wanted
UNION ALL
SELECT NULL, last.rank, last.seq, NULL, 0, (SELECT count(*) FROM looked_at)
FROM last
