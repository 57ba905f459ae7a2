-- Refuses what no entry of the log `mine` can have (OT101). As `Outgoing::check_entry` of the
-- library.
CREATE OR REPLACE FUNCTION outtray.check_log_options(
    mine text, priority integer, expires_in interval, tracked_for interval, is_unique boolean,
    is_keyed boolean, is_delayed boolean
) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    what text := CASE
        WHEN priority <> 0 THEN 'a priority'
        WHEN expires_in IS NOT NULL THEN 'an expiry'
        WHEN tracked_for IS NOT NULL THEN 'tracking, since it never ends'
        WHEN is_unique THEN 'a dedupe key until its end, since it never ends: give it a window'
        WHEN is_keyed AND is_delayed THEN 'both a key and a delay'
    END;
BEGIN
    IF what IS NOT NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'OT101',
            MESSAGE = format('topic %s is a log: a message to it cannot have %s', mine, what);
    END IF;
END
$body$
