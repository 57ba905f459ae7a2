-- Removes some of what is over and what nothing else removes: dead letters past their topic's
-- retention, dedupe keys after their window, outcomes after their retention, full buckets, notes of
-- room that nobody counts. As the upkeep of the library does, by the same statements.
CREATE OR REPLACE FUNCTION outtray.remove_old() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_custom_plan
AS $body$
#variable_conflict error
DECLARE
    a_row record;
    retained record;
    ended record;
    topics text[] := '{}';
    ids uuid[] := '{}';
    the_topic text;
    kept_ms bigint;
    the_writer uuid;
BEGIN
    {prune_dedupe: 1000};
    FOR a_row IN
        {old_outcomes: 1000}
    LOOP
        topics := topics || a_row.topic;
        ids := ids || a_row.id;
    END LOOP;
    {forget_outcomes: topics, ids};
    topics := '{}';
    FOR a_row IN
        {uncounted_topics: 1000}
    LOOP
        topics := topics || a_row.topic;
    END LOOP;
    {prune_vacated: topics, 1000};
    {prune_buckets: 1000};
    FOR retained IN
        SELECT topic.topic, (outtray.topic_terms(topic.topic)).dead_letter_ms FROM outtray.topic
    LOOP
        CONTINUE WHEN retained.dead_letter_ms IS NULL;
        the_topic := retained.topic;
        kept_ms := retained.dead_letter_ms;
        the_writer := gen_random_uuid();
        FOR ended IN
            {prune_dead: the_topic, kept_ms, 1000, the_writer}
        LOOP
            IF ended.id IS NOT NULL THEN
                PERFORM outtray.end_message(the_topic, ended.id, NULL, ended.on_end, 'purged', NULL);
            END IF;
        END LOOP;
    END LOOP;
END
$body$
