-- Gives the delivery with this `receipt` of message `id` back at once, to its place, as if it had
-- never been delivered: no attempt is spent. Returns what became of the message: ready, or
-- cancelled if somebody cancelled it. Fails with OT110 if the lease was lost.
CREATE OR REPLACE FUNCTION outtray.release(id uuid, receipt uuid, topic text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    held record;
BEGIN
    held := outtray.hold_receipt(id, receipt, topic);
    RETURN outtray.give_back(
        held.the_topic, id, receipt, held.the_key, held.the_on_end, held.is_cancelled, 1::smallint, NULL
    );
END
$body$
