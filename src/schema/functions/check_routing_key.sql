-- Refuses a routing key that is none (OT101): what a topic may be called, in segments between dots.
CREATE OR REPLACE FUNCTION outtray.check_routing_key(name text) RETURNS void
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    flaw text := outtray.topic_flaw(name);
BEGIN
    IF coalesce(name, '') = '' THEN
        flaw := 'must not be empty';
    ELSIF flaw IS NOT NULL THEN
        flaw := 'is not made as a topic''s name is: ' || flaw;
    ELSIF '.' || name || '.' LIKE '%..%' THEN
        flaw := 'has an empty segment: there is one before, between and after its dots';
    ELSE
        RETURN;
    END IF;
    RAISE EXCEPTION USING
        ERRCODE = 'OT101',
        MESSAGE = format('routing key "%s" %s', outtray.shown(left(coalesce(name, ''), 64)), flaw);
END
$body$
