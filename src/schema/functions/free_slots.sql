-- Returns how many messages of the topic `the_topic`, which is limited to `the_limit` in work, may
-- be leased now; holds what is free until the transaction ends. As `leasable` in the library, by
-- the same statements.
CREATE OR REPLACE FUNCTION outtray.free_slots(the_topic text, the_limit integer) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict error
DECLARE
    a_row record;
    free bigint;
    made bigint;
BEGIN
    LOOP
        free := 0;
        FOR a_row IN
            {take_free_slots: the_topic, the_limit}
        LOOP
            free := free + 1;
        END LOOP;
        -- A statement of its own: it sees all leases that were made before.
        FOR a_row IN
            {count_leased: the_topic, 10000}
        LOOP
            free := free - a_row.leased;
        END LOOP;
        IF free > 0 THEN
            RETURN free;
        END IF;
        -- The limit may be there without its slots, brought back by a backup for one.
        {ensure_slots: the_topic, the_limit};
        GET DIAGNOSTICS made = ROW_COUNT;
        IF made = 0 THEN
            RETURN 0;
        END IF;
    END LOOP;
END
$body$
