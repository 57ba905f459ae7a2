-- Returns whether a subscription wants a message with these headers. Fails with OT107 where it
-- cannot be known: a hand wrote the filter, which only the library can read.
CREATE OR REPLACE FUNCTION outtray.wants(
    subscriber text, pattern text, filter text, program json, headers json
) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF filter IS NULL THEN
        RETURN true;
    ELSIF program ->> 'filter' IS DISTINCT FROM filter THEN
        RAISE EXCEPTION USING
            ERRCODE = 'OT107',
            MESSAGE = format(
                'the filter of the subscription of topic %s to "%s" was not written by the library', subscriber, pattern
            ),
            HINT = 'Subscribe again with the library or the command.';
    END IF;
    RETURN outtray.matches(
        headers,
        ARRAY(SELECT json_array_elements_text(program -> 'steps')),
        ARRAY(SELECT json_array_elements_text(program -> 'names')),
        ARRAY(SELECT json_array_elements(program -> 'operands')::jsonb)
    );
END
$body$
