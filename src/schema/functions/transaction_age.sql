-- Returns for how many microseconds the caller's transaction has been open.
CREATE OR REPLACE FUNCTION outtray.transaction_age() RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    -- A clock may be set back.
    RETURN greatest(0, (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint);
END
$body$
