-- Acknowledges the delivery with this `receipt` of message `id`: the message is done and removed,
-- when the caller's transaction commits. `result`, of a tracked message, is for those who wait for
-- it. Fails with OT110 if the lease was lost. `topic` spares a look for it among many topics.
CREATE OR REPLACE FUNCTION outtray.ack(
    id uuid, receipt uuid, topic text DEFAULT NULL, result json DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    held record;
BEGIN
    held := outtray.hold_receipt(id, receipt, topic);
    IF result IS NOT NULL THEN
        PERFORM outtray.check_payload(held.the_topic, result::text, NULL);
    END IF;
    PERFORM outtray.end_receipt(
        held.the_topic, id, receipt, held.the_key, held.the_on_end, 'done', NULL, NULL, NULL, result::text
    );
END
$body$
