-- Leases up to `max_count` ready messages of `topic` (1 to 10,000), the most urgent and oldest
-- first, and returns them. Nobody else gets them for as long as `lease` says (1 ms to a day, or, if
-- that is NULL, the topic's time, by default 30 s); then they are delivered again unless they were
-- settled. The lease counts from the commit on: call it in a transaction of its own. Messages that
-- are not to be begun are ended instead: the cancelled, the expired, those over the limit of
-- attempts. Before it looks, it does for its topic what else the upkeep of a library's process
-- does.
CREATE OR REPLACE FUNCTION outtray.receive(
    topic text, lease interval DEFAULT NULL, max_count integer DEFAULT 1
) RETURNS TABLE (
    id uuid, receipt uuid, payload json, body bytea, headers json, key text, priority integer,
    attempt integer, max_attempts integer, sent_at timestamptz
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict error
DECLARE
    -- Messages that one call ends: more are left to the next.
    most_aside CONSTANT integer := 1000;
    flaw text := outtray.topic_flaw(topic);
    asked_us bigint := outtray.lease_micros(lease);
    terms record;
    a_row record;
    has_looked_after boolean := false;
    taken integer := 0;
    aside integer := 0;
    wanted bigint;
    tokens bigint;
    looked_at bigint;
    aside_before integer;
    why record;
BEGIN
    IF flaw IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT101', MESSAGE = flaw;
    END IF;
    IF max_count IS NULL OR max_count NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'batch of topic % is of % messages, it must be 1 to 10000', topic, max_count
            USING ERRCODE = 'OT101';
    END IF;
    PERFORM outtray.read_committed();
    terms := outtray.topic_terms(topic);
    IF terms.is_log THEN
        RAISE EXCEPTION 'topic % is a log: nothing of it is claimed', topic
            USING ERRCODE = 'OT101';
    END IF;
    PERFORM outtray.make_ready(topic);
    LOOP
        EXIT WHEN terms.is_paused OR taken >= max_count OR aside >= most_aside;
        wanted := max_count - taken;
        IF terms.rate_messages IS NOT NULL THEN
            wanted := outtray.spend_tokens(topic, wanted, terms.rate_messages, terms.rate_us, terms.rate_burst);
            tokens := wanted;
        END IF;
        IF wanted > 0 AND terms.max_in_work IS NOT NULL THEN
            wanted := least(wanted, outtray.free_slots(topic, terms.max_in_work));
        END IF;
        looked_at := 0;
        aside_before := aside;
        IF wanted > 0 THEN
            FOR a_row IN
                SELECT
                    leased.its_rank, leased.its_id, leased.its_receipt, leased.its_attempts, leased.its_sent_at,
                    leased.its_headers, leased.its_payload, leased.its_body, leased.its_key, leased.its_on_end,
                    leased.was_expired, leased.was_cancelled
                FROM outtray.lease_some(topic, wanted, coalesce(asked_us, terms.lease_us)) AS leased
                ORDER BY leased.its_rank, leased.its_seq
            LOOP
                looked_at := looked_at + 1;
                why := outtray.refusal(
                    a_row.its_attempts, a_row.its_headers, a_row.was_expired, a_row.was_cancelled,
                    -- Or nobody waits for a reply to it any more.
                    terms.drops_expired OR coalesce(a_row.its_on_end, 0) & 8 <> 0, terms.max_attempts
                );
                IF why.how IS NOT NULL THEN
                    aside := aside + 1;
                    IF why.how = 'dead' AND outtray.is_dead(topic, a_row.its_id) THEN
                        -- Somebody wrote it twice. The others go on; this one is leased to nobody.
                        RAISE WARNING 'message % of topic % cannot become a dead letter: there is one with its id',
                            a_row.its_id, topic;
                        CONTINUE;
                    END IF;
                    PERFORM outtray.end_receipt(
                        topic, a_row.its_id, a_row.its_receipt, a_row.its_key, a_row.its_on_end, why.how,
                        why.attempts, why.reason, why.error, NULL
                    );
                    CONTINUE;
                END IF;
                taken := taken + 1;
                id := a_row.its_id;
                receipt := a_row.its_receipt;
                payload := a_row.its_payload;
                body := a_row.its_body;
                headers := a_row.its_headers;
                key := a_row.its_key;
                priority := -a_row.its_rank;
                attempt := a_row.its_attempts + 1;
                max_attempts := terms.max_attempts;
                sent_at := a_row.its_sent_at;
                RETURN NEXT;
            END LOOP;
        END IF;
        IF terms.rate_messages IS NOT NULL AND tokens > looked_at THEN
            PERFORM outtray.put_tokens_back(topic, tokens - looked_at, terms.rate_messages, terms.rate_us);
        END IF;
        IF wanted > 0 AND looked_at < wanted AND NOT has_looked_after THEN
            -- Nobody else may look after those that come after others. Those that this finds are
            -- due.
            has_looked_after := true;
            CONTINUE WHEN outtray.release_dependents(topic) > 0 AND outtray.make_ready(topic) > 0;
        END IF;
        -- What was set aside may have made the next of its key ready.
        EXIT WHEN wanted <= 0 OR looked_at < wanted AND aside = aside_before;
    END LOOP;
END
$body$
