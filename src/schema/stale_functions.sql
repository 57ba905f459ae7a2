-- Returns those of the functions of schema $4, names $1 and texts $2 in the order of installing,
-- that are not there as they are in release $3, nor of a later one.
SELECT ours.name
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS ours (name, text, place)
LEFT JOIN outtray.function ON function.name = ours.name
WHERE (function.release <= $3::integer[]) IS NOT FALSE
    AND (
        (function.checksum = pg_catalog.md5(ours.text)) IS NOT TRUE
        -- Somebody dropped it.
        OR pg_catalog.to_regproc(pg_catalog.format('%I.%I', $4::text, ours.name)) IS NULL
    )
ORDER BY ours.place
