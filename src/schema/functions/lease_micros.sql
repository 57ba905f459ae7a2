-- Returns how many microseconds a lease lasts; NULL for NULL. Fails unless it is 1 ms to a day.
CREATE OR REPLACE FUNCTION outtray.lease_micros(lease interval) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF lease < interval '1 millisecond' OR lease > interval '1 day' THEN
        RAISE EXCEPTION 'a lease is %, it must be 1 ms to a day', lease
            USING ERRCODE = 'OT101';
    END IF;
    RETURN (extract(epoch FROM lease) * 1000000)::bigint;
END
$body$
