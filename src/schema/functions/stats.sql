-- Returns the numbers of `topic`: messages that are ready, scheduled, leased, behind others of
-- their key, and dead; those over 100,000 are estimates, named in `estimated`. Also whether it is
-- paused or suspect, how many receivers of the library it has, and how long ago the oldest ready
-- message was sent (NULL: none is ready). As `TopicStats` in the library, by the same statements.
CREATE OR REPLACE FUNCTION outtray.stats(topic text) RETURNS TABLE (
    ready bigint, scheduled bigint, leased bigint, behind bigint, dead bigint, estimated text[],
    is_paused boolean, is_suspect boolean, receivers bigint, oldest_ready_age interval
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $body$
#variable_conflict error
DECLARE
    most CONSTANT bigint := 100000;
    the_topic text := topic;
    counted_to bigint := most + 1;
    a_row record;
    many_ready boolean;
    many_waiting boolean;
    many_behind boolean;
    many_dead boolean;
BEGIN
    FOR a_row IN
        {stats: the_topic, counted_to}
    LOOP
        ready := a_row.ready;
        scheduled := a_row.scheduled;
        leased := a_row.leased;
        behind := a_row.behind;
        dead := a_row.dead;
        is_paused := a_row.is_paused;
        is_suspect := a_row.is_suspect;
        receivers := a_row.receivers;
        oldest_ready_age := a_row.oldest_us::float8 * interval '1 microsecond';
    END LOOP;
    estimated := ARRAY(
        SELECT counts.name
        FROM unnest(
            ARRAY['ready', 'scheduled', 'leased', 'behind', 'dead'], ARRAY[ready, scheduled, leased, behind, dead]
        ) AS counts (name, number)
        WHERE counts.number > most
    );
    IF cardinality(estimated) > 0 THEN
        many_ready := ready > most;
        many_waiting := scheduled > most OR leased > most;
        many_behind := behind > most;
        many_dead := dead > most;
        FOR a_row IN
            {estimate: the_topic, 4000, many_ready, many_waiting, many_behind, many_dead}
        LOOP
            ready := CASE WHEN ready > most THEN greatest(a_row.ready, counted_to) ELSE ready END;
            scheduled := CASE WHEN scheduled > most THEN greatest(a_row.scheduled, counted_to) ELSE scheduled END;
            leased := CASE WHEN leased > most THEN greatest(a_row.leased, counted_to) ELSE leased END;
            behind := CASE WHEN behind > most THEN greatest(a_row.behind, counted_to) ELSE behind END;
            dead := CASE WHEN dead > most THEN greatest(a_row.dead, counted_to) ELSE dead END;
        END LOOP;
    END IF;
    RETURN NEXT;
END
$body$
