-- Locks the leased message `the_id` of the topic `named`, or of whichever topic if that is NULL,
-- and returns what settling it needs to know. Fails with OT110 if `the_receipt` is not that of its
-- last delivery, or if it is settled: nothing is changed then.
CREATE OR REPLACE FUNCTION outtray.hold_receipt(
    the_id uuid, the_receipt uuid, named text,
    OUT the_topic text, OUT the_key text, OUT the_on_end smallint, OUT attempts integer, OUT is_cancelled boolean
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict error
BEGIN
    IF the_id IS NULL OR the_receipt IS NULL THEN
        RAISE EXCEPTION 'a message is settled by its id and its receipt, and one of them is NULL'
            USING ERRCODE = 'OT101';
    END IF;
    the_topic := named;
    IF the_topic IS NULL THEN
        -- The first topic with something scheduled, then the next: one probe for each.
        SELECT scheduled.topic INTO the_topic
        FROM outtray.scheduled
        ORDER BY scheduled.topic
        LIMIT 1;
        WHILE the_topic IS NOT NULL LOOP
            EXIT WHEN EXISTS (
                SELECT
                FROM outtray.scheduled
                WHERE scheduled.topic = the_topic
                    AND scheduled.id = the_id
                OFFSET 0
            );
            SELECT (
                SELECT scheduled.topic
                FROM outtray.scheduled
                WHERE scheduled.topic > the_topic
                ORDER BY scheduled.topic
                LIMIT 1
            ) INTO the_topic;
        END LOOP;
    END IF;
    -- Waits for whoever has the row in hand: it may be gone then.
    SELECT
        scheduled.key, scheduled.on_end, greatest(scheduled.attempts, 1), coalesce(scheduled.is_cancelled, false)
    INTO the_key, the_on_end, attempts, is_cancelled
    FROM outtray.scheduled
    WHERE scheduled.topic = the_topic
        AND scheduled.id = the_id
        AND (scheduled.receipt = the_receipt) IS TRUE
    FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the lease of message % is over, or the message was settled already: nothing was changed', the_id
            USING ERRCODE = 'OT110',
            HINT = 'Roll back what was done for this delivery: the message may be in other hands.';
    END IF;
END
$body$
