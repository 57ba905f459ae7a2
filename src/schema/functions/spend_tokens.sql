-- Takes up to `wanted` tokens of the topic `the_topic`, which gains `messages` in `per_us`
-- microseconds and holds `burst`; returns how many there were.
CREATE OR REPLACE FUNCTION outtray.spend_tokens(
    the_topic text, wanted bigint, messages bigint, per_us bigint, burst bigint
) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict error
DECLARE
    of_topic text[] := ARRAY[''];
    tokens_wanted bigint[] := ARRAY[wanted];
    a_row record;
    total bigint := 0;
BEGIN
    FOR a_row IN
        {take_tokens: the_topic, of_topic, tokens_wanted, messages, per_us, burst}
    LOOP
        total := total + a_row.granted;
    END LOOP;
    RETURN total;
END
$body$
