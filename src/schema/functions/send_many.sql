-- Sends many messages to a topic, in order, with the same options, and returns of each its id, or
-- that of the earlier message that has its dedupe key. `keys` and `dedupe_keys` have one for each
-- payload, or NULL. As `send`.
CREATE OR REPLACE FUNCTION outtray.send_many(
    topic text,
    payloads anycompatiblearray,
    headers jsonb DEFAULT NULL,
    keys text[] DEFAULT NULL,
    priority integer DEFAULT 0,
    delay interval DEFAULT NULL,
    due_at timestamptz DEFAULT NULL,
    expires_in interval DEFAULT NULL,
    dedupe_keys text[] DEFAULT NULL,
    dedupe_window interval DEFAULT NULL,
    tracked_for interval DEFAULT NULL,
    wait_for_room interval DEFAULT NULL,
    notify boolean DEFAULT false,
    OUT id uuid,
    OUT is_duplicate boolean
) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $body$
DECLARE
    size integer := coalesce(cardinality(payloads), 0);
    contents text[];
    bodies bytea[];
BEGIN
    IF cardinality(keys) <> size OR cardinality(dedupe_keys) <> size THEN
        RAISE EXCEPTION USING
            ERRCODE = 'OT101',
            MESSAGE = format(
                '%s payloads with %s keys and %s dedupe keys for topic %s, there must be one for each',
                size, coalesce(cardinality(keys), 0), coalesce(cardinality(dedupe_keys), 0), topic
            );
    ELSIF size = 0 THEN
        RETURN;
    END IF;
    SELECT array_agg(given.content ORDER BY one.place), array_agg(given.body ORDER BY one.place)
    INTO contents, bodies
    FROM unnest(payloads) WITH ORDINALITY AS one (payload, place)
    CROSS JOIN LATERAL outtray.content_of(one.payload) AS given;
    RETURN QUERY
    SELECT one.id, one.is_duplicate
    FROM outtray.send_contents(
        topic, contents, bodies, headers, coalesce(keys, array_fill(NULL::text, ARRAY[size])), priority, delay,
        due_at, expires_in, coalesce(dedupe_keys, array_fill(NULL::text, ARRAY[size])), dedupe_window, tracked_for,
        wait_for_room, notify
    ) AS one;
END
$body$
