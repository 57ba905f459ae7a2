-- Returns the version of Citus.
SELECT pg_extension.extversion AS version
FROM pg_catalog.pg_extension
WHERE pg_extension.extname = 'citus'::name
