-- Estimates how many messages each topic has, from a sample of some $1 pages of each table: those
-- that are ready, scheduled, leased, behind others of their key, and dead. One row for each topic
-- in the sample. Reads no index, and asks no statistics: each page is in the sample with the same
-- chance, and counts for so many.
WITH share AS MATERIALIZED (
    SELECT
        least(100::float8, coalesce($1::bigint::float8 * 100::float8 / nullif(size.message, 0)::float8, 0::float8)) AS message,
        least(100::float8, coalesce($1::bigint::float8 * 100::float8 / nullif(size.scheduled, 0)::float8, 0::float8)) AS scheduled,
        least(100::float8, coalesce($1::bigint::float8 * 100::float8 / nullif(size.follower, 0)::float8, 0::float8)) AS follower,
        least(100::float8, coalesce($1::bigint::float8 * 100::float8 / nullif(size.dead_letter, 0)::float8, 0::float8)) AS dead_letter
    FROM (
        SELECT
            pg_relation_size('outtray.message'::regclass) / current_setting('block_size')::bigint AS message,
            pg_relation_size('outtray.scheduled'::regclass) / current_setting('block_size')::bigint AS scheduled,
            pg_relation_size('outtray.follower'::regclass) / current_setting('block_size')::bigint AS follower,
            pg_relation_size('outtray.dead_letter'::regclass) / current_setting('block_size')::bigint AS dead_letter
    ) AS size
),
found AS (
    SELECT message.topic, count(*) AS ready, 0::bigint AS scheduled, 0::bigint AS leased, 0::bigint AS behind, 0::bigint AS dead
    FROM outtray.message TABLESAMPLE SYSTEM ((SELECT share.message FROM share))
    GROUP BY message.topic
    UNION ALL
    SELECT
        scheduled.topic, 0::bigint, count(*) FILTER (WHERE scheduled.receipt IS NULL),
        count(*) FILTER (WHERE scheduled.receipt IS NOT NULL), 0::bigint, 0::bigint
    FROM outtray.scheduled TABLESAMPLE SYSTEM ((SELECT share.scheduled FROM share))
    GROUP BY scheduled.topic
    UNION ALL
    SELECT follower.topic, 0::bigint, 0::bigint, 0::bigint, count(*), 0::bigint
    FROM outtray.follower TABLESAMPLE SYSTEM ((SELECT share.follower FROM share))
    GROUP BY follower.topic
    UNION ALL
    SELECT dead_letter.topic, 0::bigint, 0::bigint, 0::bigint, 0::bigint, count(*)
    FROM outtray.dead_letter TABLESAMPLE SYSTEM ((SELECT share.dead_letter FROM share))
    GROUP BY dead_letter.topic
)
SELECT
    found.topic,
    coalesce(round(sum(found.ready)::float8 * 100::float8 / nullif(min(share.message), 0::float8)), 0::float8)::bigint AS ready,
    coalesce(round(sum(found.scheduled)::float8 * 100::float8 / nullif(min(share.scheduled), 0::float8)), 0::float8)::bigint AS scheduled,
    coalesce(round(sum(found.leased)::float8 * 100::float8 / nullif(min(share.scheduled), 0::float8)), 0::float8)::bigint AS leased,
    coalesce(round(sum(found.behind)::float8 * 100::float8 / nullif(min(share.follower), 0::float8)), 0::float8)::bigint AS behind,
    coalesce(round(sum(found.dead)::float8 * 100::float8 / nullif(min(share.dead_letter), 0::float8)), 0::float8)::bigint AS dead
FROM found
CROSS JOIN share
GROUP BY found.topic
