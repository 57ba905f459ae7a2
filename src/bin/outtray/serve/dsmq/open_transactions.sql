-- Returns the oldest transaction that may be open, and the number that the next one will get at the
-- earliest: those in between have ended once the first is no less than the second was.
SELECT
    pg_snapshot_xmin(seen.snapshot)::text AS oldest,
    pg_snapshot_xmax(seen.snapshot)::text AS next
FROM pg_current_snapshot() AS seen (snapshot)
