-- Lets the lease of the delivery with this `receipt` of message `id` last `lease` from now: 1 ms to
-- a day, or, if that is NULL, the topic's time. Returns whether somebody cancelled the message, so
-- that its holder may give up. Fails with OT110 if the lease was lost.
CREATE OR REPLACE FUNCTION outtray.extend(
    id uuid, receipt uuid, lease interval DEFAULT NULL, topic text DEFAULT NULL
) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict error
DECLARE
    held record;
    the_topic text;
    the_id uuid := id;
    the_receipt uuid := receipt;
    lease_us bigint := outtray.lease_micros(lease);
    no_row record;
BEGIN
    held := outtray.hold_receipt(the_id, the_receipt, topic);
    the_topic := held.the_topic;
    -- The statement counts from the beginning of the transaction.
    lease_us := coalesce(lease_us, (outtray.topic_terms(the_topic)).lease_us) + outtray.transaction_age();
    FOR no_row IN
        {extend_lease: the_topic, the_id, the_receipt, lease_us}
    LOOP
    END LOOP;
    RETURN held.is_cancelled;
END
$body$
