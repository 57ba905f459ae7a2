-- Does what the end of a message calls for whose time was over, after the statement that removed
-- it. It is gone where its topic is one of those `dropping`, or where nobody waits for the reply to
-- it any more; otherwise it is a dead letter.
CREATE OR REPLACE FUNCTION outtray.end_expired(
    the_topic text, the_id uuid, the_key text, the_on_end smallint, dropping text[]
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict error
BEGIN
    PERFORM outtray.end_message(
        the_topic, the_id, the_key, the_on_end,
        CASE WHEN the_topic = ANY (dropping) OR coalesce(the_on_end, 0) & 8 <> 0 THEN 'expired' ELSE 'dead' END,
        NULL
    );
END
$body$
