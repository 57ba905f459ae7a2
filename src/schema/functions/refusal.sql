-- Returns how a message ends that was claimed and that nobody is to work on: it was cancelled, its
-- time is over, its headers cannot be read, or its attempts are used up. Nothing: it is to be
-- delivered. As `refuse` in the library, in the same order.
CREATE OR REPLACE FUNCTION outtray.refusal(
    tried integer, headers json, was_expired boolean, was_cancelled boolean, drops_expired boolean, most integer,
    OUT how text, OUT attempts integer, OUT reason text, OUT error text
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    attempts := tried;
    IF was_cancelled THEN
        how := 'cancelled';
    ELSIF was_expired AND drops_expired THEN
        how := 'expired';
    ELSIF was_expired THEN
        how := 'dead';
        reason := 'expired';
        error := 'its time was over before it was handled';
    ELSIF NOT outtray.are_readable(headers) THEN
        how := 'dead';
        attempts := tried + 1;
        reason := 'undecodable';
        error := 'a message''s headers cannot be read: was the table changed by hand?';
    ELSIF tried >= most THEN
        how := 'dead';
        reason := 'crashed';
        error := tried || ' attempts are used up, the limit is ' || most
            || ': their leases ended without an answer, or the limit was lowered';
    END IF;
END
$body$
