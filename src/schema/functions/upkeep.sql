-- Does for all topics what the upkeep of a library's process does, where no such process runs:
-- moves what is due and ended leases back, moves the lines of keys on, takes out what expired and
-- what is to be given up, releases what comes after others, removes what is over. Some of each.
-- Returns how many messages it moved or ended: with 1000 or more, call it again at once, else every
-- few seconds, in a transaction of its own. Any number may call it at a time.
CREATE OR REPLACE FUNCTION outtray.upkeep() RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    done bigint := 0;
BEGIN
    PERFORM outtray.read_committed();
    BEGIN
        done := done + outtray.make_ready(NULL);
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'outtray: make_ready: %', SQLERRM USING ERRCODE = SQLSTATE;
    END;
    BEGIN
        done := done + outtray.give_up_asked();
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'outtray: give_up_asked: %', SQLERRM USING ERRCODE = SQLSTATE;
    END;
    BEGIN
        done := done + outtray.take_out_expired();
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'outtray: take_out_expired: %', SQLERRM USING ERRCODE = SQLSTATE;
    END;
    BEGIN
        done := done + outtray.release_dependents(NULL);
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'outtray: release_dependents: %', SQLERRM USING ERRCODE = SQLSTATE;
    END;
    BEGIN
        PERFORM outtray.remove_old();
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'outtray: remove_old: %', SQLERRM USING ERRCODE = SQLSTATE;
    END;
    RETURN done;
END
$body$
