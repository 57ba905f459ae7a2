-- Says that the work on the delivery with this `receipt` of message `id` failed, with this `error`.
-- The message comes back after `delay` (0: at once, to its place), or, where that is NULL, after
-- the topic's backoff; after its last attempt it becomes a dead letter, and one that somebody
-- cancelled ends. Returns what became of it: ready, scheduled, dead or cancelled. Fails with OT110
-- if the lease was lost.
CREATE OR REPLACE FUNCTION outtray.nack(
    id uuid, receipt uuid, delay interval DEFAULT NULL, error text DEFAULT NULL, topic text DEFAULT NULL
) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict use_column
DECLARE
    held record;
    terms record;
    the_topic text;
    the_id uuid := id;
    delay_us bigint;
    the_attempts smallint;
    the_error text := coalesce(error, 'nacked');
    the_failure text;
    no_row record;
BEGIN
    IF delay < interval '0' OR delay > interval '3650 days' THEN
        RAISE EXCEPTION 'a message comes back after 0 s to ten years, not %', delay
            USING ERRCODE = 'OT101';
    END IF;
    held := outtray.hold_receipt(id, receipt, topic);
    the_topic := held.the_topic;
    terms := outtray.topic_terms(the_topic);
    IF held.attempts >= terms.max_attempts THEN
        PERFORM outtray.end_receipt(
            the_topic, the_id, receipt, held.the_key, held.the_on_end, 'dead', held.attempts, 'exhausted',
            coalesce(error, 'nacked in its last attempt'), NULL
        );
        RETURN 'dead';
    END IF;
    delay_us := coalesce(
        (extract(epoch FROM delay) * 1000000)::bigint, outtray.retry_delay(terms.backoff, held.attempts)
    );
    the_attempts := held.attempts;
    the_error := CASE WHEN octet_length(the_error) > 8192 THEN left(the_error, 2048) || '...' ELSE the_error END;
    the_failure := json_build_object(
        'attempt', the_attempts, 'process', 'server pid ' || pg_backend_pid(), 'error', left(the_error, 256)
    )::text;
    IF held.is_cancelled OR delay_us = 0 THEN
        RETURN outtray.give_back(
            the_topic, the_id, receipt, held.the_key, held.the_on_end, held.is_cancelled, 0::smallint,
            the_failure
        );
    END IF;
    -- The statement counts from the beginning of the transaction.
    delay_us := delay_us + outtray.transaction_age();
    FOR no_row IN
        {postpone_lease: the_topic, the_id, the_attempts, delay_us, the_error, the_failure}
    LOOP
    END LOOP;
    RETURN 'scheduled';
END
$body$
