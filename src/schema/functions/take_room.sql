-- Takes room for `wanted` messages in the bounded topic `mine`, which holds `most`, or fails with
-- OT104. Where it seems full and nobody noted otherwise, counts the messages there are, if it
-- `may_count`. Part of `take_rooms`.
CREATE OR REPLACE FUNCTION outtray.take_room(
    mine text, wanted bigint, most bigint, may_count boolean
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $body$
#variable_conflict use_column
DECLARE
    -- One more than fit: no more need be counted.
    enough bigint := least(most, 9223372036854775806) + 1;
    -- Room is taken just before the messages are stored: none are on their way.
    pending bigint := 0;
    seen record;
    number bigint;
BEGIN
    LOOP
        {take_room: mine, wanted, most}
        INTO number;
        IF FOUND THEN
            RETURN;
        END IF;
        {look_room: mine}
        INTO seen;
        IF NOT FOUND THEN
            number := -1;
        ELSIF seen.used - seen.vacated + wanted <= most THEN
            -- The room first, always: two that hold one of each would wait for each other.
            PERFORM FROM (
                {lock_room: mine}
            ) AS locked;
            {fold_vacated: mine}
            INTO number;
            number := -number;
            {change_room: mine, number};
            CONTINUE;
        ELSIF may_count THEN
            {count_room: mine, enough}
            INTO number;
        ELSE
            number := most;
        END IF;
        IF number > most - wanted THEN
            RAISE EXCEPTION USING
                ERRCODE = 'OT104',
                MESSAGE = format(
                    'topic %s is full (%s messages): %s', mine, most,
                    CASE
                        WHEN current_setting('transaction_isolation') = 'read committed' THEN 'try again later'
                        ELSE 'run the session again later, its snapshot shows no change'
                    END
                );
        END IF;
        {ensure_room: mine};
        PERFORM FROM (
            {lock_room: mine}
        ) AS locked;
        {recount_room: mine, pending};
    END LOOP;
END
$body$
