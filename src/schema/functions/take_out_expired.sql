-- Takes messages of all topics out whose time is over and that are in nobody's hands: they become
-- dead letters, or are dropped, as their topics say, or since whoever asked waits no more. Up to
-- 1000 of each kind. Returns how many. As the upkeep of the library does, by the same statements.
CREATE OR REPLACE FUNCTION outtray.take_out_expired() RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $body$
#variable_conflict error
DECLARE
    over_time CONSTANT text := 'its time was over before it was handled';
    dropping text[] := ARRAY(
        SELECT topic.topic FROM outtray.topic WHERE (outtray.topic_terms(topic.topic)).drops_expired
    );
    topics text[] := '{}';
    keys text[] := '{}';
    a_row record;
    done bigint := 0;
BEGIN
    FOR a_row IN
        {expire_ready: 1000, dropping, over_time}
    LOOP
        PERFORM outtray.end_expired(a_row.topic, a_row.id, a_row.key, a_row.on_end, dropping);
        done := done + 1;
    END LOOP;
    FOR a_row IN
        {expire_scheduled: 1000, dropping, over_time}
    LOOP
        PERFORM outtray.end_expired(a_row.topic, a_row.id, a_row.key, a_row.on_end, dropping);
        done := done + 1;
    END LOOP;
    -- Locked in a statement of their own: the next one has to see what the last holders did.
    FOR a_row IN
        {lock_expired_lanes: 1000}
    LOOP
        topics := topics || a_row.topic;
        keys := keys || a_row.key;
    END LOOP;
    IF cardinality(keys) > 0 THEN
        FOR a_row IN
            {expire_followers: topics, keys, dropping, over_time, 1000}
        LOOP
            PERFORM outtray.end_expired(a_row.topic, a_row.id, a_row.key, a_row.on_end, dropping);
            done := done + 1;
        END LOOP;
    END IF;
    RETURN done;
END
$body$
