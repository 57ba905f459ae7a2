-- Returns whether a routing key matches the pattern of a subscription: `*` stands for one segment
-- between dots, `#` for any number. A pattern that is none, since a hand wrote it, matches nothing.
CREATE OR REPLACE FUNCTION outtray.matches_pattern(routing_key text, pattern text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
-- What a backslash is in a literal.
SET standard_conforming_strings = on
AS $body$
DECLARE
    expression text;
BEGIN
    IF pattern = routing_key THEN
        RETURN true;
    ELSIF pattern !~ '(^|[.])[*#]([.]|$)' OR octet_length(pattern) > 200 THEN
        RETURN false;
    END IF;
    -- Each segment with a dot behind it, as the key has them.
    SELECT string_agg(
        CASE segment.text
            WHEN '*' THEN '[^.]+[.]'
            WHEN '#' THEN '(?:[^.]+[.])*'
            ELSE regexp_replace(segment.text, '([][\\^$|?*+(){}])', '\\\1', 'g') || '[.]'
        END,
        '' ORDER BY segment.place
    )
    INTO expression
    -- Of several `#` in a row, one says it all.
    FROM string_to_table(regexp_replace(pattern, '(^|[.])#(?:[.]#)+(?=[.]|$)', '\1#', 'g'), '.')
        WITH ORDINALITY AS segment (text, place);
    RETURN routing_key || '.' ~ ('^' || expression || '$');
END
$body$
