-- Rejects the delivery with this `receipt` of message `id`: the message becomes a dead letter at
-- once, with this `error`. Fails with OT110 if the lease was lost.
CREATE OR REPLACE FUNCTION outtray.reject(
    id uuid, receipt uuid, error text DEFAULT 'rejected', topic text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    held record;
BEGIN
    held := outtray.hold_receipt(id, receipt, topic);
    PERFORM outtray.end_receipt(
        held.the_topic, id, receipt, held.the_key, held.the_on_end, 'dead', held.attempts, 'rejected',
        coalesce(error, 'rejected'), NULL
    );
END
$body$
