-- Returns what is wrong with a key of any kind, which `what` names; NULL if nothing is, or if there
-- is none.
CREATE OR REPLACE FUNCTION outtray.key_flaw(what text, given text) RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    length integer := octet_length(given);
BEGIN
    IF length NOT BETWEEN 1 AND 512 THEN
        RETURN format('%s has %s bytes, it must have 1 to 512', what, length);
    END IF;
    RETURN NULL;
END
$body$
