-- Does what the end of a message calls for beyond its own row, after the statement that removed it:
-- notes the room it leaves, tells whoever waits for a reply, frees its dedupe key, records how it
-- ended, moves the line of its key on. As `on_end` in the library, by the same statements.
-- `the_key` is NULL where the line of the key is looked after otherwise.
CREATE OR REPLACE FUNCTION outtray.end_message(
    the_topic text, the_id uuid, the_key text, the_on_end smallint, how text, the_result text
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict error
DECLARE
    matters integer := coalesce(the_on_end, 0);
    ids uuid[] := ARRAY[the_id];
    states text[] := ARRAY[how];
    results text[] := ARRAY[the_result];
    keys text[] := ARRAY[the_key];
    the_writer uuid := gen_random_uuid();
    a_row record;
BEGIN
    IF matters & 2 <> 0 THEN
        {vacate: the_topic, 1};
    END IF;
    IF matters & 8 <> 0 AND how = 'dead' THEN
        {refuse_dead: the_topic, ids};
    END IF;
    IF matters & 4 <> 0 THEN
        IF how = 'dead' THEN
            {free_dedupe_of_dead: the_topic, the_id};
        ELSE
            {free_dedupe: the_topic, ids};
        END IF;
    END IF;
    IF matters & 1 <> 0 THEN
        {end_outcomes: the_topic, ids, states, results};
    END IF;
    IF the_key IS NOT NULL THEN
        -- Two statements: the second sees all that the last holders of the lanes did.
        {take_lanes: the_topic, keys, the_writer};
        FOR a_row IN
            {promote: the_topic, keys, the_writer}
        LOOP
            -- Whoever claims next finds them: nobody remembers where to look.
        END LOOP;
    END IF;
END
$body$
