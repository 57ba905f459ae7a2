-- Refuses a payload for the topic `mine`, JSON `content` or bytes `body`, that is too large
-- (OT103), or that no receiver could read (OT102).
CREATE OR REPLACE FUNCTION outtray.check_payload(mine text, content text, body bytea) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    length integer := coalesce(octet_length(content), octet_length(body));
    flaw text;
BEGIN
    IF length IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'OT102',
            MESSAGE = format('payload for topic %s is NULL', mine),
            HINT = 'The null of JSON is ''null''.';
    ELSIF length > 1048576 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'OT103',
            MESSAGE = format('payload of %s bytes for topic %s is over the limit of 1048576 bytes', length, mine);
    ELSIF content IS NULL THEN
        RETURN;
    END IF;
    flaw := outtray.json_flaw(content);
    IF flaw IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'OT102', MESSAGE = format('payload for topic %s cannot be stored: %s', mine, flaw);
    END IF;
    BEGIN
        PERFORM content::json;
    EXCEPTION WHEN invalid_text_representation THEN
        RAISE EXCEPTION USING
            ERRCODE = 'OT102', MESSAGE = format('payload for topic %s is not JSON', mine), DETAIL = SQLERRM;
    END;
END
$body$
