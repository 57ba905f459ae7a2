-- Returns the whole number that a JSON value is, if it is one from `lowest` to `highest`;
-- NULL for anything else, whoever wrote it. Fails for none.
CREATE OR REPLACE FUNCTION outtray.whole_number(value json, lowest bigint, highest bigint) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF json_typeof(value) = 'number' AND value::text ~ '^(0|[1-9][0-9]{0,17})$'
        AND value::text::bigint BETWEEN lowest AND highest
    THEN
        RETURN value::text::bigint;
    END IF;
    RETURN NULL;
END
$body$
