-- Makes the lanes of topics and keys where there are none, unless a sender that is about to make
-- one of them keeps its transaction open: it is waited for 50 ms, and the others are made one by
-- one, some of them. Returns the places, counted from 1, of those that are there now.
CREATE OR REPLACE FUNCTION outtray.make_lanes_now(topics text[], keys text[]) RETURNS integer[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '50ms'
AS $body$
#variable_conflict error
DECLARE
    began timestamptz := clock_timestamp();
    the_topics text[] := topics;
    the_keys text[] := keys;
    made integer[] := '{}';
    place integer;
BEGIN
    BEGIN
        {make_lanes: the_topics, the_keys};
        RETURN ARRAY(SELECT numbers.number FROM generate_series(1, cardinality(topics)) AS numbers (number));
    EXCEPTION WHEN lock_not_available THEN
        NULL;
    END;
    FOR place IN
        SELECT numbers.number
        FROM generate_series(1, cardinality(topics)) AS numbers (number)
        ORDER BY random()
    LOOP
        EXIT WHEN clock_timestamp() - began > interval '200 milliseconds';
        BEGIN
            the_topics := topics[place:place];
            the_keys := keys[place:place];
            {make_lanes: the_topics, the_keys};
            made := made || place;
        EXCEPTION WHEN lock_not_available THEN
            NULL;
        END;
    END LOOP;
    RETURN made;
END
$body$
