-- Puts `unspent` tokens of the topic `the_topic`, which gains `messages` in `per_us` microseconds,
-- back.
CREATE OR REPLACE FUNCTION outtray.put_tokens_back(
    the_topic text, unspent bigint, messages bigint, per_us bigint
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict error
DECLARE
    of_topic text[] := ARRAY[''];
    tokens_left bigint[] := ARRAY[unspent];
BEGIN
    {return_tokens: the_topic, of_topic, tokens_left, messages, per_us};
END
$body$
