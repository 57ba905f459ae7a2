-- Returns the number of the transaction that it runs in, which has one from then on.
SELECT pg_current_xact_id()::text AS id
