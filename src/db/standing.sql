-- Returns whether it runs in the transaction with number $1, and whether that was committed.
SELECT
    coalesce(pg_current_xact_id_if_assigned() = $1::text::xid8, false) AS is_open,
    coalesce(pg_xact_status($1::text::xid8) = 'committed'::text, false) AS is_committed
