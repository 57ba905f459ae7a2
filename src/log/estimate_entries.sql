-- Estimates how many entries the segments $1 of a log have, from a sample of some $2 of their
-- pages. Reads no index, and asks no statistics: each page is in the sample with the same chance,
-- and counts for so many.
WITH share AS MATERIALIZED (
    SELECT
        least(100::float8, $2::bigint::float8 * 100::float8 * current_setting('block_size')::float8
            / nullif(sum(pg_relation_size(to_regclass(format('outtray.%I', 'log_' || mine.segment::text))::oid::regclass)), 0::numeric)::float8
        ) AS percent
    FROM pg_catalog.unnest($1::bigint[]) AS mine (segment)
)
SELECT coalesce(round((
    SELECT count(*)
    FROM outtray.log_entry TABLESAMPLE SYSTEM ((SELECT coalesce(share.percent, 100::float8) FROM share))
    WHERE log_entry.segment = ANY ($1::bigint[])
)::float8 * 100::float8 / share.percent), 0::float8)::bigint AS entries
FROM share
