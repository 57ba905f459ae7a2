-- Moves messages whose time has come to their topics, among them those whose leases ended: up to
-- 1000 of all topics, and if there may be more, up to 1000 of the topic `the_topic`. Returns how
-- many.
CREATE OR REPLACE FUNCTION outtray.move_due_now(the_topic text) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
-- The index is followed, whatever is known of the table.
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict error
DECLARE
    after_it text := the_topic || E'\x01';
    the_writer uuid := gen_random_uuid();
    a_row record;
    topics text[];
    ids uuid[];
    total bigint := 0;
BEGIN
    PERFORM
    FROM outtray.scheduled
    WHERE scheduled.due_at <= (SELECT clock_timestamp())
        AND scheduled.due_at < 'infinity'
    ORDER BY scheduled.due_at
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    FOR a_row IN
        {move_due: 1000}
    LOOP
        total := total + a_row.messages;
        IF a_row.topic IS NULL THEN
            topics := a_row.line_topics;
            ids := a_row.line_ids;
        END IF;
    END LOOP;
    IF ids IS NOT NULL THEN
        {line_up_due: topics, ids, the_writer};
        total := total + cardinality(ids);
    END IF;
    IF total < 1000 OR the_topic IS NULL THEN
        RETURN total;
    END IF;
    -- Its own do not wait behind a crowd of others'.
    ids := NULL;
    FOR a_row IN
        {move_due_between: 1000, the_topic, after_it}
    LOOP
        total := total + a_row.messages;
        IF a_row.topic IS NULL THEN
            topics := a_row.line_topics;
            ids := a_row.line_ids;
        END IF;
    END LOOP;
    IF ids IS NOT NULL THEN
        the_writer := gen_random_uuid();
        {line_up_due: topics, ids, the_writer};
        total := total + cardinality(ids);
    END IF;
    RETURN total;
END
$body$
