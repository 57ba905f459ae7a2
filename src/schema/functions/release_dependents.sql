-- Looks at messages that come after others, of the topic `the_topic`, or of all topics if that is
-- NULL: releases those whose turn it is, and gives up those whose turn will never come. Returns of
-- how many it did either. Looks at 500 at a time, until something was to be done or a quarter of a
-- second is over, and goes on where the last look of this session stopped: a session that looks
-- once, as that of a job does, would else never see what is behind the first 500. As the upkeep of
-- the library does, by the same statements.
CREATE OR REPLACE FUNCTION outtray.release_dependents(the_topic text) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_custom_plan
AS $body$
#variable_conflict error
DECLARE
    -- A topic and an id, or nothing: the beginning.
    place text := current_setting('dependents.place', true);
    from_topic text := coalesce(the_topic, '');
    from_id uuid := '00000000-0000-0000-0000-000000000000';
    a_row record;
    topics text[];
    ids uuid[];
    held_topics text[];
    held_ids uuid[];
    waits bigint[];
    free_topics text[];
    free_ids uuid[];
    the_wait bigint;
    done bigint := 0;
    -- Whoever receives wants a message soon.
    give_up_at timestamptz := clock_timestamp()
        + CASE WHEN the_topic IS NULL THEN interval '250 milliseconds' ELSE interval '10 milliseconds' END;
BEGIN
    PERFORM
    FROM outtray.scheduled
    WHERE scheduled.due_at = 'infinity'
        AND (scheduled.topic COLLATE "POSIX" = the_topic OR the_topic IS NULL)
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    IF place ~ '^[^ ]+ [0-9a-f-]{36}$' AND (split_part(place, ' ', 1) = the_topic OR the_topic IS NULL) THEN
        from_topic := split_part(place, ' ', 1);
        from_id := split_part(place, ' ', 2)::uuid;
    END IF;
    LOOP
        topics := '{}';
        ids := '{}';
        held_topics := '{}';
        held_ids := '{}';
        waits := '{}';
        FOR a_row IN
            {waiting_dependents: from_topic, from_id, 500}
        LOOP
            EXIT WHEN a_row.topic <> the_topic;
            topics := topics || a_row.topic;
            ids := ids || a_row.id;
        END LOOP;
        place := '';
        IF cardinality(ids) = 500 THEN
            from_topic := topics[500];
            from_id := ids[500];
            place := from_topic || ' ' || from_id;
        END IF;
        PERFORM set_config('dependents.place', place, false);
        -- Locked first: the statements after this one see all that earlier looks did.
        FOR a_row IN
            {hold_dependents: topics, ids}
        LOOP
            -- Somebody else has one without a time in hand.
            IF a_row.wait_us IS NOT NULL THEN
                held_topics := held_topics || a_row.topic;
                held_ids := held_ids || a_row.id;
                waits := waits || a_row.wait_us;
            END IF;
        END LOOP;
        {clear_dependencies: held_topics, held_ids, NULL};
        FOR a_row IN
            {orphan: held_topics, held_ids, 'orphaned', NULL}
        LOOP
            PERFORM outtray.end_message(a_row.topic, a_row.id, NULL, a_row.on_end, 'dead', NULL);
            done := done + 1;
        END LOOP;
        FOR the_wait IN SELECT DISTINCT wait.us FROM unnest(waits) AS wait (us) LOOP
            SELECT array_agg(held.topic), array_agg(held.id) INTO free_topics, free_ids
            FROM unnest(held_topics, held_ids, waits) AS held (topic, id, us)
            WHERE held.us = the_wait;
            FOR a_row IN
                {release: free_topics, free_ids, the_wait}
            LOOP
                done := done + 1;
            END LOOP;
        END LOOP;
        EXIT WHEN done > 0 OR place = '' OR clock_timestamp() >= give_up_at;
    END LOOP;
    RETURN done;
END
$body$
