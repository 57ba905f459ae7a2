-- Refuses options that no message to the topic `mine` can have (OT101). As `NewMessage::check` of
-- the library, which a test compares it with.
CREATE OR REPLACE FUNCTION outtray.check_options(
    mine text, key text, priority integer, delay interval, due_at timestamptz, expires_in interval,
    dedupe_key text, dedupe_window interval, tracked_for interval
) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    flaw text;
BEGIN
    IF priority IS NULL OR priority NOT BETWEEN -32767 AND 32767 THEN
        RAISE EXCEPTION USING
            ERRCODE = 'OT101',
            MESSAGE = format(
                'priority %s for topic %s is out of range, %s', coalesce(priority::text, 'NULL'), mine,
                CASE WHEN priority > 0 THEN 'the most is 32767' ELSE 'the least is -32767' END
            );
    END IF;
    flaw := CASE
        WHEN delay IS NOT NULL AND due_at IS NOT NULL THEN 'both a delay and a time to be sent at'
        WHEN outtray.micros(delay) > 315360000000000
            THEN format('delay of %s is longer than ten years', delay)
        WHEN outtray.micros(delay) < 0 THEN format('delay of %s is less than none', delay)
        WHEN due_at NOT BETWEEN '1970-01-01 00:00:00+00' AND '2200-01-01 00:00:00+00'
            THEN 'time to be sent at is not between 1970 and 2200'
    END;
    flaw := coalesce(
        flaw,
        outtray.duration_flaw('expires_in', expires_in),
        outtray.duration_flaw('tracked_for', tracked_for),
        outtray.key_flaw('key', key),
        outtray.key_flaw('dedupe key', dedupe_key),
        outtray.duration_flaw('dedupe window', dedupe_window)
    );
    IF flaw IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT101', MESSAGE = format('%s, on topic %s', flaw, mine);
    END IF;
END
$body$
