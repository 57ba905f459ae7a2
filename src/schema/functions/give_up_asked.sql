-- Removes messages that somebody cancelled while they were in work and that wait now, since nobody
-- heard of it who had them, and notes it with those that were leased since. Forgets requests whose
-- messages are gone. Returns how many it removed. As the upkeep of the library does, by the same
-- statements.
CREATE OR REPLACE FUNCTION outtray.give_up_asked() RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $body$
#variable_conflict error
DECLARE
    ids uuid[] := '{}';
    topics text[];
    a_row record;
    done bigint := 0;
BEGIN
    FOR a_row IN
        {cancellations: 10000}
    LOOP
        ids := ids || a_row.id;
    END LOOP;
    IF cardinality(ids) = 0 THEN
        RETURN 0;
    END IF;
    topics := ARRAY({scheduled_topics});
    FOR a_row IN
        {cancel_scheduled: ids, true, topics}
    LOOP
        PERFORM outtray.end_message(a_row.topic, a_row.id, a_row.key, a_row.on_end, 'cancelled', NULL);
        done := done + 1;
    END LOOP;
    FOR a_row IN
        {cancel_followers: ids, true}
    LOOP
        PERFORM outtray.end_message(a_row.topic, a_row.id, a_row.key, a_row.on_end, 'cancelled', NULL);
        done := done + 1;
    END LOOP;
    FOR a_row IN
        {cancel_ready: ids, true}
    LOOP
        PERFORM outtray.end_message(a_row.topic, a_row.id, a_row.key, a_row.on_end, 'cancelled', NULL);
        done := done + 1;
    END LOOP;
    {mark_leased: ids};
    {prune_cancellations: ids, 60};
    RETURN done;
END
$body$
