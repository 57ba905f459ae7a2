-- Removes up to $2 of the notes of what was vacated in topic $1; returns how many, and their sum.
-- The caller holds the topic's room. Index: the primary key.
WITH first AS MATERIALIZED (
    SELECT vacated.ctid AS place
    FROM outtray.vacated
    WHERE vacated.topic = $1::text
    ORDER BY vacated.topic, vacated.id
    LIMIT $2::bigint
),
gone AS (
    DELETE FROM outtray.vacated
    WHERE vacated.ctid = ANY (ARRAY(SELECT first.place FROM first))
    RETURNING vacated.messages
)
SELECT count(*) AS notes, coalesce(sum(gone.messages), 0)::bigint AS messages
FROM gone
