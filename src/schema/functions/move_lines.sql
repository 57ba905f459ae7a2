-- Moves the lines of stalled keys on whose lanes nobody holds: of the topic `the_topic`, or of all
-- topics if that is NULL; up to 1000 keys. Returns of how many. Where somebody holds a thousand, it
-- looks further, for a quarter of a second. As the upkeep of the library does, by the same
-- statements.
CREATE OR REPLACE FUNCTION outtray.move_lines(the_topic text) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
-- Keys are looked up one by one.
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_custom_plan
AS $body$
#variable_conflict error
DECLARE
    from_topic text := coalesce(the_topic, '');
    a_row record;
    from_key text := '';
    looked_at integer;
    -- Whoever receives wants a message soon.
    give_up_at timestamptz := clock_timestamp()
        + CASE WHEN the_topic IS NULL THEN interval '250 milliseconds' ELSE interval '10 milliseconds' END;
    topics text[];
    keys text[];
    laneless_topics text[];
    laneless_keys text[];
    place integer;
    taken_topics text[] := '{}';
    taken_keys text[] := '{}';
    a_topic text;
    its_keys text[];
    the_writer uuid;
    no_row record;
BEGIN
    PERFORM
    FROM outtray.stalled
    WHERE stalled.topic = the_topic OR the_topic IS NULL
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    LOOP
        looked_at := 0;
        topics := '{}';
        keys := '{}';
        laneless_topics := '{}';
        laneless_keys := '{}';
        FOR a_row IN
            {stalled_keys: 1000, from_topic, from_key}
        LOOP
            EXIT WHEN a_row.topic <> the_topic;
            looked_at := looked_at + 1;
            from_topic := a_row.topic;
            from_key := a_row.key;
            IF a_row.has_lane THEN
                topics := topics || a_row.topic;
                keys := keys || a_row.key;
            ELSE
                laneless_topics := laneless_topics || a_row.topic;
                laneless_keys := laneless_keys || a_row.key;
            END IF;
        END LOOP;
        IF cardinality(laneless_keys) > 0 THEN
            FOREACH place IN ARRAY outtray.make_lanes_now(laneless_topics, laneless_keys) LOOP
                topics := topics || laneless_topics[place];
                keys := keys || laneless_keys[place];
            END LOOP;
        END IF;
        FOR a_row IN
            {take_stalled: topics, keys}
        LOOP
            taken_topics := taken_topics || a_row.topic;
            taken_keys := taken_keys || a_row.key;
        END LOOP;
        EXIT WHEN cardinality(taken_keys) > 0 OR looked_at < 1000 OR clock_timestamp() >= give_up_at;
    END LOOP;
    FOR a_topic IN SELECT DISTINCT taken.topic FROM unnest(taken_topics) AS taken (topic) LOOP
        its_keys := ARRAY(
            SELECT taken.key FROM unnest(taken_topics, taken_keys) AS taken (topic, key) WHERE taken.topic = a_topic
        );
        -- After the statement that took the lanes: these see all that their last holders did.
        FOR a_row IN
            {park: a_topic, its_keys, 1000}
        LOOP
            PERFORM outtray.end_message(a_topic, a_row.id, NULL, a_row.on_end, 'dead', NULL);
        END LOOP;
        {put_back: a_topic, its_keys};
        the_writer := gen_random_uuid();
        FOR no_row IN
            {promote: a_topic, its_keys, the_writer}
        LOOP
        END LOOP;
    END LOOP;
    RETURN cardinality(taken_keys);
END
$body$
