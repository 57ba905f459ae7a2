-- Returns how many microseconds a time lasts that begins now: a day is one of the session's time
-- zone, and a month one of the calendar. More than ten years, or less than none, are both far out
-- of every range.
CREATE OR REPLACE FUNCTION outtray.micros(given interval) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    us bigint;
BEGIN
    IF given > interval '20 years' THEN
        RETURN 9223372036854775807;
    ELSIF given < interval '-20 years' THEN
        RETURN -1;
    END IF;
    us := trunc(extract(epoch FROM (now() + given) - now()) * 1000000)::bigint;
    -- Ten years of the calendar have leap days, the limit has none.
    RETURN CASE WHEN given = interval '10 years' THEN least(us, 315360000000000) ELSE us END;
END
$body$
