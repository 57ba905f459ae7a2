-- Returns the sequences of schema $1 that have used up nine tenths of their numbers, as far as this
-- role may see.
SELECT pg_sequences.sequencename::text AS name, pg_sequences.last_value AS last
FROM pg_catalog.pg_sequences
WHERE pg_sequences.schemaname::text = $1::text
    AND pg_sequences.last_value::numeric > pg_sequences.max_value::numeric * 0.9
ORDER BY pg_sequences.sequencename
