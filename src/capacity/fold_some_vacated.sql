-- Removes up to $2 of the notes of what was vacated in topic $1; returns how many, and their sum.
-- The caller holds the topic's room. Index: the primary key.
WITH first AS MATERIALIZED (
    SELECT vacated.topic, vacated.id
    FROM outtray.vacated
    WHERE vacated.topic = $1::text
    ORDER BY vacated.topic, vacated.id
    LIMIT $2::bigint
),
gone AS (
    DELETE FROM outtray.vacated
    USING first
    WHERE vacated.topic = ANY (ARRAY[first.topic])
        AND vacated.id = first.id
    RETURNING vacated.messages
)
SELECT count(*) AS notes, coalesce(sum(gone.messages), 0)::bigint AS messages
FROM gone
