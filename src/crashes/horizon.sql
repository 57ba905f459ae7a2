-- Returns how far what the receivers of topic $1 have in hand may reach: of each rank the seq of
-- its last message, or of the last of as many as they may have in hand. Claims take the first that
-- are free. Index: the primary key, through whose ranks it skips.
WITH RECURSIVE ranks AS (
    (SELECT message.rank FROM outtray.message WHERE message.topic = $1::text ORDER BY message.rank LIMIT 1)
    UNION ALL
    SELECT (
        SELECT message.rank
        FROM outtray.message
        WHERE message.topic = $1::text
            AND message.rank > ranks.rank
        ORDER BY message.rank
        LIMIT 1
    )
    FROM ranks
    WHERE ranks.rank IS NOT NULL
)
SELECT
    ranks.rank,
    (
        SELECT max(first.seq)
        FROM (
            SELECT message.seq
            FROM outtray.message
            WHERE message.topic = $1::text
                AND message.rank = ranks.rank
            ORDER BY message.seq
            LIMIT (SELECT sum(worker.most::bigint)::bigint FROM outtray.worker WHERE worker.topic = $1::text)
        ) AS first
    ) AS seq
FROM ranks
WHERE ranks.rank IS NOT NULL
