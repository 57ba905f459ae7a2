-- Returns which standbys a COMMIT waits for, how many are there, how many of those are synchronous,
-- and of how many this role does not see it.
SELECT
    current_setting('synchronous_standby_names') AS names,
    (SELECT count(*) FROM pg_catalog.pg_stat_replication) AS standbys,
    (
        SELECT count(*) FROM pg_catalog.pg_stat_replication
        WHERE pg_stat_replication.sync_state IN ('sync'::text, 'quorum'::text)
    ) AS synchronous,
    (
        SELECT count(*) FROM pg_catalog.pg_stat_replication
        WHERE pg_stat_replication.sync_state IS NULL
    ) AS hidden
