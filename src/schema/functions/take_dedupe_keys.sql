-- Takes the dedupe keys `names` of `topics` for messages `ids`, for `windows` microseconds each (0:
-- until the message has ended), and returns the ids that have them, in order. The keys are
-- different ones. As `dedupe::take` of the library: waits for transactions that take the same.
CREATE OR REPLACE FUNCTION outtray.take_dedupe_keys(
    topics text[], names text[], ids uuid[], windows bigint[]
) RETURNS uuid[]
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $body$
#variable_conflict use_column
DECLARE
    found_topics text[] := '{}';
    found_names text[] := '{}';
    found_ids uuid[] := '{}';
    holder record;
    holders uuid[];
BEGIN
    FOR round IN 1 .. 10 LOOP
        FOR holder IN
            {take_dedupe: topics, names, ids, windows}
        LOOP
            found_topics := found_topics || holder.topic;
            found_names := found_names || holder.key;
            found_ids := found_ids || holder.id;
        END LOOP;
        IF cardinality(found_ids) < cardinality(ids) THEN
            -- Somebody committed the others while we waited: our statement began too early to see
            -- that. Ours are among these, too.
            found_topics := '{}';
            found_names := '{}';
            found_ids := '{}';
            FOR holder IN
                {known_dedupe: topics, names}
            LOOP
                found_topics := found_topics || holder.topic;
                found_names := found_names || holder.key;
                found_ids := found_ids || holder.id;
            END LOOP;
        END IF;
        IF cardinality(found_ids) >= cardinality(ids) THEN
            SELECT array_agg(found.id ORDER BY wish.place)
            INTO holders
            FROM unnest(topics, names) WITH ORDINALITY AS wish (topic, name, place)
            JOIN unnest(found_topics, found_names, found_ids) AS found (topic, name, id)
                ON found.topic = wish.topic AND found.name = wish.name;
            RETURN holders;
        END IF;
        -- Taken and freed meanwhile.
        found_topics := '{}';
        found_names := '{}';
        found_ids := '{}';
    END LOOP;
    RAISE EXCEPTION USING
        ERRCODE = '40001',
        MESSAGE = format('a dedupe key of topic %s was taken and freed 10 times meanwhile, run it again', topics[1]);
END
$body$
