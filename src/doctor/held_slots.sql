-- Returns the replication slots, each with its name as a literal, whether somebody reads from it,
-- for how many transactions it has needed rows that are dead (NULL: it needs none; rows of catalogs
-- alone do not count), and how many bytes of WAL it keeps.
SELECT
    quote_literal(slot.slot_name::text) AS name,
    slot.active AS is_active,
    age(slot.xmin)::bigint AS xmin_age,
    pg_wal_lsn_diff(
        CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
        slot.restart_lsn
    )::bigint AS kept_bytes
FROM pg_catalog.pg_replication_slots AS slot
WHERE NOT slot.temporary
ORDER BY slot.slot_name
