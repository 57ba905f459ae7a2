-- Makes messages of `the_topic` ready whose time has come, or whose turn among those of their key.
-- Returns of how many it may be: of other topics, too.
CREATE OR REPLACE FUNCTION outtray.make_ready(the_topic text) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    -- First what gets behind others of its key.
    RETURN outtray.move_due_now(the_topic) + outtray.move_lines(the_topic);
END
$body$
