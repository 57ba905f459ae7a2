-- Puts a leased message back to its place, with `unspent` attempts less, and with what is kept of
-- the attempt, `failure`, unless that is NULL; one that somebody cancelled ends instead. The caller
-- holds its lock, and its receipt was right. Returns what became of it: ready or cancelled.
CREATE OR REPLACE FUNCTION outtray.give_back(
    the_topic text, the_id uuid, the_receipt uuid, the_key text, the_on_end smallint, is_cancelled boolean,
    unspent smallint, failure text
) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict error
DECLARE
    no_row record;
BEGIN
    IF is_cancelled THEN
        PERFORM outtray.end_receipt(
            the_topic, the_id, the_receipt, the_key, the_on_end, 'cancelled', NULL, NULL, NULL, NULL
        );
        RETURN 'cancelled';
    END IF;
    FOR no_row IN
        {give_back_lease: the_topic, the_id, the_receipt, unspent, 1, failure}
    LOOP
    END LOOP;
    RETURN 'ready';
END
$body$
