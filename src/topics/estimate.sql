-- Estimates how many messages topic $1 has, from a sample of some $2 pages of each table that is
-- asked for: those that are ready ($3), scheduled or leased ($4), behind others of their key ($5),
-- dead ($6). Of what is not asked for, 0. Reads no index, and asks no statistics: each page is in
-- the sample with the same chance, and counts for so many.
WITH share AS MATERIALIZED (
    SELECT
        least(100::float8, coalesce($2::bigint::float8 * 100::float8 / nullif(size.message, 0)::float8, 0::float8)) AS message,
        least(100::float8, coalesce($2::bigint::float8 * 100::float8 / nullif(size.scheduled, 0)::float8, 0::float8)) AS scheduled,
        least(100::float8, coalesce($2::bigint::float8 * 100::float8 / nullif(size.follower, 0)::float8, 0::float8)) AS follower,
        least(100::float8, coalesce($2::bigint::float8 * 100::float8 / nullif(size.dead_letter, 0)::float8, 0::float8)) AS dead_letter
    FROM (
        SELECT
            pg_relation_size('outtray.message'::regclass) / current_setting('block_size')::bigint AS message,
            pg_relation_size('outtray.scheduled'::regclass) / current_setting('block_size')::bigint AS scheduled,
            pg_relation_size('outtray.follower'::regclass) / current_setting('block_size')::bigint AS follower,
            pg_relation_size('outtray.dead_letter'::regclass) / current_setting('block_size')::bigint AS dead_letter
    ) AS size
),
ready AS (
    SELECT count(*) AS found
    FROM outtray.message TABLESAMPLE SYSTEM ((SELECT share.message FROM share))
    WHERE message.topic = $1::text
),
waiting AS (
    SELECT
        count(*) FILTER (WHERE scheduled.receipt IS NULL) AS scheduled,
        count(*) FILTER (WHERE scheduled.receipt IS NOT NULL) AS leased
    FROM outtray.scheduled TABLESAMPLE SYSTEM ((SELECT share.scheduled FROM share))
    WHERE scheduled.topic = $1::text
),
behind AS (
    SELECT count(*) AS found
    FROM outtray.follower TABLESAMPLE SYSTEM ((SELECT share.follower FROM share))
    WHERE follower.topic = $1::text
),
dead AS (
    SELECT count(*) AS found
    FROM outtray.dead_letter TABLESAMPLE SYSTEM ((SELECT share.dead_letter FROM share))
    WHERE dead_letter.topic = $1::text
)
SELECT
    -- A sub-select in a branch that is not taken is not run.
    CASE WHEN $3::boolean THEN round((SELECT ready.found FROM ready)::float8 * 100::float8 / nullif(share.message, 0::float8)) ELSE 0::float8 END::bigint AS ready,
    CASE WHEN $4::boolean THEN round((SELECT waiting.scheduled FROM waiting)::float8 * 100::float8 / nullif(share.scheduled, 0::float8)) ELSE 0::float8 END::bigint AS scheduled,
    CASE WHEN $4::boolean THEN round((SELECT waiting.leased FROM waiting)::float8 * 100::float8 / nullif(share.scheduled, 0::float8)) ELSE 0::float8 END::bigint AS leased,
    CASE WHEN $5::boolean THEN round((SELECT behind.found FROM behind)::float8 * 100::float8 / nullif(share.follower, 0::float8)) ELSE 0::float8 END::bigint AS behind,
    CASE WHEN $6::boolean THEN round((SELECT dead.found FROM dead)::float8 * 100::float8 / nullif(share.dead_letter, 0::float8)) ELSE 0::float8 END::bigint AS dead
FROM share
