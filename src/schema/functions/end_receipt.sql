-- Ends the leased message `the_id` of the topic `the_topic`, whose lock the caller holds and whose
-- receipt was right: it is gone, or, if `how` is dead, among the dead letters, for `the_reason` and
-- with the error `why`. Fails if it is not there.
CREATE OR REPLACE FUNCTION outtray.end_receipt(
    the_topic text, the_id uuid, the_receipt uuid, the_key text, the_on_end smallint, how text,
    attempts integer, the_reason text, why text, the_result text
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict error
DECLARE
    the_attempts smallint := least(attempts, 32767);
    -- No more of it than the library keeps, either.
    the_error text := CASE WHEN octet_length(why) > 8192 THEN left(why, 2048) || '...' ELSE why END;
    -- Of what a session of the server said.
    the_failure text := CASE
        WHEN the_reason IN ('exhausted', 'rejected', 'undecodable')
        THEN json_build_object(
            'attempt', the_attempts, 'process', 'server pid ' || pg_backend_pid(), 'error', left(why, 256)
        )::text
    END;
    the_process text := 'server pid ' || pg_backend_pid();
    no_row record;
BEGIN
    IF how = 'dead' THEN
        FOR no_row IN
            {bury_lease: the_topic, the_id, the_attempts, the_reason, the_error, the_failure}
        LOOP
        END LOOP;
    ELSE
        {record_lease: the_topic, the_id, the_receipt, how, the_process, NULL, the_result};
        FOR no_row IN
            {end_held_lease: the_topic, the_id, the_receipt}
        LOOP
        END LOOP;
    END IF;
    IF the_key IS NOT NULL OR the_on_end IS NOT NULL THEN
        PERFORM outtray.end_message(the_topic, the_id, the_key, the_on_end, how, the_result);
    END IF;
END
$body$
