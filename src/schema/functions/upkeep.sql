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
    done bigint;
BEGIN
    PERFORM outtray.read_committed();
    done := outtray.make_ready(NULL);
    done := done + outtray.give_up_asked();
    done := done + outtray.take_out_expired();
    done := done + outtray.release_dependents(NULL);
    PERFORM outtray.remove_old();
    RETURN done;
END
$body$
