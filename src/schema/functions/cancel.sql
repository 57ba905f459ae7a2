-- Cancels the message `id`, wherever it is. Returns removed, if it waited and is gone; asked, if it
-- is in work: unless it is acknowledged it does not come back; not_there, if it ended before, or
-- nobody knows it. Call it in a transaction of its own. A tracked message is found by an index; to
-- find another one may take as long as reading all that is ready.
CREATE OR REPLACE FUNCTION outtray.cancel(id uuid) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $body$
#variable_conflict use_column
DECLARE
    ids uuid[] := ARRAY[cancel.id];
    topics text[];
    a_row record;
    was_there boolean := false;
BEGIN
    PERFORM outtray.read_committed();
    -- It may be on its way from one place to another.
    FOR pass IN 1 .. 3 LOOP
        IF pass > 1 THEN
            PERFORM pg_sleep(0.01);
        END IF;
        topics := ARRAY({scheduled_topics});
        -- In the direction in which messages move, but for retries.
        FOR a_row IN
            {cancel_scheduled: ids, false, topics}
        LOOP
            PERFORM outtray.end_message(a_row.topic, a_row.id, a_row.key, a_row.on_end, 'cancelled', NULL);
            was_there := true;
        END LOOP;
        FOR a_row IN
            {cancel_followers: ids, false}
        LOOP
            PERFORM outtray.end_message(a_row.topic, a_row.id, a_row.key, a_row.on_end, 'cancelled', NULL);
            was_there := true;
        END LOOP;
        FOR a_row IN
            {cancel_ready: ids, false}
        LOOP
            PERFORM outtray.end_message(a_row.topic, a_row.id, a_row.key, a_row.on_end, 'cancelled', NULL);
            was_there := true;
        END LOOP;
        IF was_there THEN
            RETURN 'removed';
        END IF;
        FOR a_row IN
            {ask_held: ids}
        LOOP
            was_there := true;
        END LOOP;
        topics := ARRAY({scheduled_topics});
        FOR a_row IN
            {ask_leased: ids, topics}
        LOOP
            was_there := true;
        END LOOP;
        IF was_there THEN
            RETURN 'asked';
        END IF;
    END LOOP;
    topics := ARRAY({scheduled_topics});
    FOR a_row IN
        {ask_rest: ids, topics}
    LOOP
        was_there := true;
    END LOOP;
    RETURN CASE WHEN was_there THEN 'asked' ELSE 'not_there' END;
END
$body$
