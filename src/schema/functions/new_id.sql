-- Returns the id of a new message: a UUID version 7 of now. Of several that are made at once, each
-- names its `place` among them, from 0 on, so that they are in order: after the milliseconds come
-- twelve bits of their fraction, and places count on there.
CREATE OR REPLACE FUNCTION outtray.new_id(place bigint DEFAULT 0) RETURNS uuid
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    -- In 4096ths of a millisecond since 1970.
    ticks bigint := trunc(extract(epoch FROM clock_timestamp()) * 4096000)::bigint + place;
BEGIN
    -- The other half is random, and says of which variant it is.
    RETURN encode(
        overlay(
            uuid_send(gen_random_uuid())
            PLACING int8send(((ticks >> 12) << 16) | 28672 | (ticks & 4095))
            FROM 1 FOR 8
        ),
        'hex'
    )::uuid;
END
$body$
