-- Returns what is wrong with a duration that cannot be zero; NULL if nothing is, or if there is
-- none.
CREATE OR REPLACE FUNCTION outtray.duration_flaw(what text, given interval) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF outtray.micros(given) NOT BETWEEN 1 AND 315360000000000 THEN
        RETURN format('%s is %s, it must be 1 us to ten years', what, given);
    END IF;
    RETURN NULL;
END
$body$
