-- Returns a text as it is shown in errors: quotes and what would break a line are escaped.
CREATE OR REPLACE FUNCTION outtray.shown(given text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
-- What a backslash is in a literal.
SET standard_conforming_strings = on
AS $body$
DECLARE
    safe text := replace(replace(replace(given, '\', '\\'), '"', '\"'), '''', '\''');
    code integer;
BEGIN
    safe := replace(replace(replace(safe, E'\n', '\n'), E'\r', '\r'), E'\t', '\t');
    FOR code IN
        SELECT number FROM generate_series(1, 159) AS numbers (number)
        WHERE number NOT BETWEEN 32 AND 126
            AND (number < 128 OR getdatabaseencoding() = 'UTF8')
    LOOP
        safe := replace(safe, chr(code), '\u{' || to_hex(code) || '}');
    END LOOP;
    RETURN safe;
END
$body$
