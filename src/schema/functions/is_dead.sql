-- Returns whether there is a dead letter of the topic `the_topic` with this id.
CREATE OR REPLACE FUNCTION outtray.is_dead(the_topic text, the_id uuid) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $body$
#variable_conflict error
BEGIN
    RETURN EXISTS (
        SELECT
        FROM outtray.dead_letter
        WHERE dead_letter.topic = the_topic
            AND dead_letter.id = the_id
    );
END
$body$
