-- Returns whether headers are an object of texts, as receivers want them; nulls are only there for
-- filters. Whoever wrote others fails nothing.
CREATE OR REPLACE FUNCTION outtray.are_readable(headers json) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF headers IS NULL THEN
        RETURN true;
    END IF;
    -- An escape that stands for no character makes all that looks into them fail.
    RETURN json_typeof(headers) = 'object'
        AND (strpos(headers::text, E'\\u') = 0 OR regexp_replace(
            headers::text, E'\\\\\\\\|\\\\u[dD][89abAB]..\\\\u[dD][c-fC-F]..', '', 'g'
        ) !~ E'\\\\u(0000|[dD][89a-fA-F])')
        AND NOT EXISTS (
            SELECT
            FROM json_each(headers) AS header
            WHERE json_typeof(header.value) NOT IN ('string', 'null')
        );
END
$body$
