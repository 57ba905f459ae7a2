-- Looks at up to $3 dead letters of topic $1, in the order of their ids after $2; of those with the
-- key $5 alone, unless that is NULL. Returns the first $4 whose error has the text $6, in capitals
-- or not, or has the shape $12, that a filter wants (steps $7, names $8, operands $9), each unless
-- it is NULL, and that were sent from $10 to before $11; and how many it looked at, as
-- `search_ready` does. Index: the primary key, or dead_letter_key.
WITH looked_at AS MATERIALIZED (
    (
        SELECT dead_letter.id, dead_letter.rank, dead_letter.error, dead_letter.sent_at, dead_letter.headers
        FROM outtray.dead_letter
        WHERE $5::text IS NULL
            AND dead_letter.topic = $1::text
            AND dead_letter.id > $2::uuid
        ORDER BY dead_letter.id
        LIMIT $3::bigint
    )
    UNION ALL
    (
        SELECT dead_letter.id, dead_letter.rank, dead_letter.error, dead_letter.sent_at, dead_letter.headers
        FROM outtray.dead_letter
        WHERE dead_letter.topic COLLATE "POSIX" = $1::text
            AND dead_letter.key = $5::text
            AND dead_letter.id > $2::uuid
        ORDER BY dead_letter.id
        LIMIT $3::bigint
    )
),
wanted AS MATERIALIZED (
    SELECT looked_at.id, looked_at.rank
    FROM looked_at
    WHERE ($6::text IS NULL OR strpos(lower(looked_at.error), lower($6::text)) > 0)
        -- A browser sends each line break as two characters.
        AND (
            $12::text IS NULL
            OR replace(outtray.error_shape(looked_at.error), E'\r\n', E'\n') = replace($12::text, E'\r\n', E'\n')
        )
        AND looked_at.sent_at >= timestamptz '1970-01-01 00:00:00+00' + $10::bigint::float8 * interval '1 microsecond'
        AND looked_at.sent_at < timestamptz '1970-01-01 00:00:00+00' + $11::bigint::float8 * interval '1 microsecond'
        AND ($7::text[] IS NULL OR outtray.matches(looked_at.headers, $7::text[], $8::text[], (SELECT $9::text[]::jsonb[])))
    ORDER BY looked_at.id
    LIMIT $4::bigint
)
SELECT wanted.id, wanted.id AS at_id, wanted.rank, 0::bigint AS seq, NULL::text AS key, 0::bigint AS segment, 0::bigint AS looked_at
FROM wanted
UNION ALL
SELECT NULL, last.id, 0::smallint, 0, NULL, 0, (SELECT count(*) FROM looked_at)
FROM (SELECT looked_at.id FROM looked_at ORDER BY looked_at.id DESC LIMIT 1) AS last
