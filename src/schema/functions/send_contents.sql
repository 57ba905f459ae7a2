-- Sends messages to the topic `mine`, of each JSON (`contents`) or bytes (`bodies`), and in `keys`
-- and `dedupe_keys` its own, or NULL; the other options hold for all. Returns the id of each, in
-- order, or of the earlier message that has its dedupe key. What `send`, `send_once` and
-- `send_many` do.
CREATE OR REPLACE FUNCTION outtray.send_contents(
    mine text, contents text[], bodies bytea[], headers jsonb, keys text[], priority integer,
    delay interval, due_at timestamptz, expires_in interval, dedupe_keys text[],
    dedupe_window interval, tracked_for interval, wait_for_room interval, is_told boolean,
    OUT id uuid, OUT is_duplicate boolean
) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict use_column
DECLARE
    flaw text := outtray.topic_flaw(mine);
    header_text text;
    terms record;
    at_us bigint;
    delay_us bigint;
    expiry_us bigint;
    window_us bigint;
    is_deduped boolean := array_remove(dedupe_keys, NULL) <> '{}';
    flags integer;
    own_ids uuid[] := '{}';
    -- Those that have the dedupe keys, and of these the new ones.
    all_ids uuid[];
    new_ids uuid[];
    ends smallint[];
    size integer := cardinality(contents);
BEGIN
    IF flaw IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT101', MESSAGE = flaw;
    ELSIF dedupe_window IS NOT NULL AND NOT is_deduped THEN
        RAISE EXCEPTION USING
            ERRCODE = 'OT101', MESSAGE = format('dedupe window without a dedupe key, on topic %s', mine);
    END IF;
    header_text := outtray.written_headers(mine, headers)::text;
    FOR at IN 1 .. size LOOP
        -- Most have no options, or the same as the one before.
        IF (at = 1 OR keys[at] IS DISTINCT FROM keys[at - 1] OR dedupe_keys[at] IS DISTINCT FROM dedupe_keys[at - 1])
            AND (
                priority IS DISTINCT FROM 0
                OR num_nonnulls(keys[at], delay, due_at, expires_in, dedupe_keys[at], tracked_for) > 0
            )
        THEN
            PERFORM outtray.check_options(
                mine, keys[at], priority, delay, due_at, expires_in, dedupe_keys[at], dedupe_window, tracked_for
            );
        END IF;
        PERFORM outtray.check_payload(mine, contents[at], bodies[at]);
    END LOOP;
    SELECT topic.delay_ms, topic.expires_in_ms, coalesce(topic.max_length, 0) AS max_length, topic.is_log
    INTO terms
    FROM outtray.topic
    WHERE topic.topic = mine;
    at_us := trunc(extract(epoch FROM due_at) * 1000000)::bigint;
    delay_us := coalesce(outtray.micros(delay), CASE WHEN due_at IS NULL THEN terms.delay_ms * 1000 END);
    expiry_us := coalesce(outtray.micros(expires_in), terms.expires_in_ms * 1000);
    window_us := coalesce(outtray.micros(dedupe_window), 0);
    IF terms.is_log THEN
        PERFORM outtray.check_log_options(
            mine, priority, expires_in, tracked_for, is_deduped AND window_us = 0,
            array_remove(keys, NULL) <> '{}', delay_us > 0 OR due_at IS NOT NULL
        );
    END IF;
    FOR at IN 1 .. size LOOP
        own_ids[at] := outtray.new_id(at - 1);
    END LOOP;
    all_ids := own_ids;
    -- 1: tracked, 2: takes room.
    flags := CASE WHEN tracked_for IS NULL THEN 0 ELSE 1 END + CASE WHEN terms.max_length > 0 THEN 2 ELSE 0 END;
    ends := array_fill(nullif(flags, 0)::smallint, ARRAY[size]);
    new_ids := own_ids;
    IF is_deduped THEN
        all_ids := outtray.deduped(mine, dedupe_keys, own_ids, window_us);
        SELECT
            array_agg(one.id ORDER BY one.place), array_agg(one.key ORDER BY one.place),
            array_agg(one.content ORDER BY one.place), array_agg(one.body ORDER BY one.place),
            array_agg(
                -- 4: has a dedupe key until its end.
                nullif(flags + CASE WHEN window_us = 0 AND one.dedupe_key IS NOT NULL THEN 4 ELSE 0 END, 0)::smallint
                ORDER BY one.place
            )
        INTO new_ids, keys, contents, bodies, ends
        FROM unnest(own_ids, all_ids, keys, contents, bodies, dedupe_keys)
            WITH ORDINALITY AS one (id, holder, key, content, body, dedupe_key, place)
        WHERE one.id = one.holder;
    END IF;
    IF new_ids IS NOT NULL THEN
        IF terms.max_length > 0 THEN
            PERFORM outtray.take_rooms(
                ARRAY[mine], ARRAY[cardinality(new_ids)::bigint], ARRAY[terms.max_length], wait_for_room
            );
        END IF;
        PERFORM outtray.store_messages(
            mine, new_ids, keys, contents, bodies, ends, priority, header_text, delay_us, at_us, expiry_us,
            outtray.micros(tracked_for) / 1000, coalesce(terms.is_log, false), is_told
        );
    END IF;
    RETURN QUERY
    SELECT one.holder, one.holder <> one.id
    FROM unnest(own_ids, all_ids) WITH ORDINALITY AS one (id, holder, place)
    ORDER BY one.place;
END
$body$
