-- Fails unless the caller's transaction is READ COMMITTED: whoever looks after others' messages has
-- to see what became of them meanwhile.
CREATE OR REPLACE FUNCTION outtray.read_committed() RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'this needs a READ COMMITTED transaction, and this one is %',
            upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'OT101',
            HINT = 'Call it in a transaction of its own.';
    END IF;
END
$body$
