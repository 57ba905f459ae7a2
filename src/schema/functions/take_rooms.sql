-- Takes room for so many messages (`wanted`) in each of the bounded `topics`, which hold `limits`
-- at most, or fails with OT104 and takes none; waits for it up to `patience`. As `capacity::take`
-- of the library. Who waits for room holds no lock: each try is undone before the wait.
CREATE OR REPLACE FUNCTION outtray.take_rooms(
    topics text[], wanted bigint[], limits bigint[], patience interval
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $body$
DECLARE
    until timestamptz := clock_timestamp() + patience;
    pause float8 := 0.005;
    is_counting boolean := true;
    counted_at timestamptz := clock_timestamp();
    can_change boolean := current_setting('transaction_isolation') = 'read committed';
BEGIN
    FOR at IN 1 .. cardinality(topics) LOOP
        IF wanted[at] > limits[at] THEN
            RAISE EXCEPTION USING
                ERRCODE = 'OT104',
                MESSAGE = format(
                    '%s messages do not fit into topic %s, which holds %s: send fewer at a time',
                    wanted[at], topics[at], limits[at]
                );
        END IF;
    END LOOP;
    IF NOT can_change OR coalesce(patience, interval '0') <= interval '0' THEN
        PERFORM outtray.take_room(topics[at], wanted[at], limits[at], true)
        FROM generate_subscripts(topics, 1) AS at
        ORDER BY at;
        RETURN;
    END IF;
    LOOP
        BEGIN
            FOR at IN 1 .. cardinality(topics) LOOP
                PERFORM outtray.take_room(topics[at], wanted[at], limits[at], is_counting);
            END LOOP;
            RETURN;
        EXCEPTION WHEN SQLSTATE 'OT104' THEN
            IF clock_timestamp() >= until THEN
                RAISE;
            END IF;
        END;
        PERFORM pg_sleep(least(pause, greatest(extract(epoch FROM until - clock_timestamp()), 0)));
        pause := least(pause * 2, 0.1);
        -- A count of a million takes a while.
        is_counting := clock_timestamp() - counted_at > interval '10 s';
        IF is_counting THEN
            counted_at := clock_timestamp();
        END IF;
    END LOOP;
END
$body$
