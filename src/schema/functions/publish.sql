-- Publishes a message, as part of the transaction: sends a copy to every topic with a subscription
-- whose pattern matches the routing key, and whose filter matches the headers. Returns a row for
-- each copy, in the order of the topics; none if nobody subscribed, unless the message is
-- `mandatory` (OT105). The options are those of `send`, and all copies have them.
CREATE OR REPLACE FUNCTION outtray.publish(
    routing_key text,
    payload anycompatible,
    headers jsonb DEFAULT NULL,
    key text DEFAULT NULL,
    priority integer DEFAULT 0,
    delay interval DEFAULT NULL,
    due_at timestamptz DEFAULT NULL,
    expires_in interval DEFAULT NULL,
    dedupe_key text DEFAULT NULL,
    dedupe_window interval DEFAULT NULL,
    tracked_for interval DEFAULT NULL,
    wait_for_room interval DEFAULT NULL,
    notify boolean DEFAULT false,
    mandatory boolean DEFAULT false,
    OUT topic text,
    OUT id uuid,
    OUT is_duplicate boolean
) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict use_column
DECLARE
    given record := outtray.content_of(payload);
    header_text json;
    window_us bigint := coalesce(outtray.micros(dedupe_window), 0);
    at_us bigint;
    topics text[];
    own_ids uuid[];
    all_ids uuid[];
    copy record;
    bounded record;
BEGIN
    PERFORM outtray.check_routing_key(routing_key);
    header_text := outtray.written_headers(
        routing_key, coalesce(nullif(headers, 'null'), '{}') || jsonb_build_object('outtray-routing-key', routing_key)
    );
    IF dedupe_window IS NOT NULL AND dedupe_key IS NULL THEN
        RAISE EXCEPTION USING
            ERRCODE = 'OT101', MESSAGE = format('dedupe window without a dedupe key, on topic %s', routing_key);
    END IF;
    PERFORM outtray.check_options(
        routing_key, key, priority, delay, due_at, expires_in, dedupe_key, dedupe_window, tracked_for
    );
    PERFORM outtray.check_payload(routing_key, given.content, given.body);
    at_us := trunc(extract(epoch FROM due_at) * 1000000)::bigint;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        PERFORM outtray.hold_subscriptions();
    END IF;
    SELECT array_agg(wanting.topic ORDER BY wanting.topic), array_agg(outtray.new_id(wanting.place - 1) ORDER BY wanting.topic)
    INTO topics, own_ids
    FROM (
        SELECT found.topic, row_number() OVER (ORDER BY found.topic) AS place
        FROM (
            SELECT DISTINCT subscription.topic
            FROM outtray.subscription
            -- Most patterns begin with something else.
            WHERE split_part(subscription.pattern, '.', 1) IN (split_part(routing_key, '.', 1), '*', '#')
                AND outtray.matches_pattern(routing_key, subscription.pattern)
                AND outtray.topic_flaw(subscription.topic) IS NULL
                AND outtray.wants(
                    subscription.topic, subscription.pattern, subscription.filter, subscription.program, header_text
                )
        ) AS found
    ) AS wanting;
    IF topics IS NULL AND mandatory THEN
        RAISE EXCEPTION USING
            ERRCODE = 'OT105',
            MESSAGE = format('nobody subscribed to routing key "%s", and the message is mandatory', routing_key);
    ELSIF topics IS NULL THEN
        RETURN;
    END IF;
    all_ids := own_ids;
    IF dedupe_key IS NOT NULL THEN
        all_ids := outtray.take_dedupe_keys(
            topics, array_fill(dedupe_key, ARRAY[cardinality(topics)]), own_ids,
            array_fill(window_us, ARRAY[cardinality(topics)])
        );
    END IF;
    SELECT array_agg(topic.topic ORDER BY topic.topic) AS topics, array_agg(topic.max_length ORDER BY topic.topic) AS limits
    INTO bounded
    FROM unnest(topics, own_ids, all_ids) AS wanting (topic, id, holder)
    JOIN outtray.topic ON topic.topic = wanting.topic
    WHERE topic.max_length IS NOT NULL
        AND wanting.id = wanting.holder;
    IF bounded.topics IS NOT NULL THEN
        PERFORM outtray.take_rooms(
            bounded.topics, array_fill(1::bigint, ARRAY[cardinality(bounded.topics)]), bounded.limits, wait_for_room
        );
    END IF;
    FOR copy IN
        SELECT
            wanting.topic, wanting.id, wanting.holder, coalesce(topic.is_log, false) AS is_log,
            coalesce(outtray.micros(delay), CASE WHEN due_at IS NULL THEN topic.delay_ms * 1000 END) AS delay_us,
            coalesce(outtray.micros(expires_in), topic.expires_in_ms * 1000) AS expiry_us,
            CASE WHEN tracked_for IS NOT NULL THEN 1 ELSE 0 END
                + CASE WHEN wanting.topic = ANY (bounded.topics) THEN 2 ELSE 0 END
                + CASE WHEN dedupe_key IS NOT NULL AND window_us = 0 THEN 4 ELSE 0 END AS flags
        FROM unnest(topics, own_ids, all_ids) WITH ORDINALITY AS wanting (topic, id, holder, place)
        LEFT JOIN outtray.topic ON topic.topic = wanting.topic
        ORDER BY wanting.place
    LOOP
        IF copy.is_log THEN
            -- Who publishes need not know that somebody keeps a log of it: there nothing has a
            -- priority or an end.
            PERFORM outtray.check_log_options(
                copy.topic, 0, NULL, NULL, dedupe_key IS NOT NULL AND window_us = 0, key IS NOT NULL,
                copy.delay_us > 0 OR due_at IS NOT NULL
            );
        END IF;
        topic := copy.topic;
        id := copy.holder;
        is_duplicate := copy.holder <> copy.id;
        IF NOT is_duplicate THEN
            PERFORM outtray.store_messages(
                copy.topic, ARRAY[copy.id], ARRAY[key], ARRAY[given.content], ARRAY[given.body],
                ARRAY[nullif(copy.flags, 0)::smallint], CASE WHEN copy.is_log THEN 0 ELSE priority END,
                header_text::text, copy.delay_us, at_us, CASE WHEN copy.is_log THEN NULL ELSE copy.expiry_us END,
                CASE WHEN copy.is_log THEN NULL ELSE outtray.micros(tracked_for) / 1000 END, copy.is_log, notify
            );
        END IF;
        RETURN NEXT;
    END LOOP;
END
$body$
