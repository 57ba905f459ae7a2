-- Returns what is set for the topic `the_topic`, as far as those need to know who take messages of
-- it or give them up; NULL for what has a default that is none. What makes no sense counts as not
-- set, as for the library, and fails nothing; a test compares the two.
CREATE OR REPLACE FUNCTION outtray.topic_terms(
    the_topic text,
    OUT is_log boolean, OUT is_paused boolean, OUT lease_us bigint, OUT max_attempts integer, OUT backoff json,
    OUT drops_expired boolean, OUT max_in_work integer,
    OUT rate_messages bigint, OUT rate_us bigint, OUT rate_burst bigint, OUT dead_letter_ms bigint
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict error
DECLARE
    document json;
    rate json;
BEGIN
    SELECT topic.config, topic.is_log, topic.paused_at IS NOT NULL, topic.max_in_work
    INTO document, is_log, is_paused, max_in_work
    FROM outtray.topic
    WHERE topic.topic = the_topic;
    is_log := coalesce(is_log, false);
    is_paused := coalesce(is_paused, false);
    drops_expired := false;
    -- Those of the library for messages that are taken by hand.
    lease_us := 30000000;
    max_attempts := 10;
    IF document IS NULL OR json_typeof(document) <> 'object' THEN
        RETURN;
    END IF;
    drops_expired := coalesce(json_typeof(document -> 'expired') = 'string' AND document ->> 'expired' = 'drop', false);
    lease_us := coalesce(outtray.whole_number(document -> 'lease_ms', 100, 86400000) * 1000, lease_us);
    max_attempts := coalesce(outtray.whole_number(document -> 'max_attempts', 1, 32767), max_attempts);
    backoff := document -> 'backoff';
    dead_letter_ms := outtray.whole_number(document -> 'dead_letter_retention_ms', 1, 315360000000);
    rate := document -> 'rate';
    IF json_typeof(rate) = 'object' THEN
        rate_messages := outtray.whole_number(rate -> 'messages', 1, 1000000000);
        rate_us := outtray.whole_number(rate -> 'per_ms', 1, 31536000000) * 1000;
        rate_burst := outtray.whole_number(rate -> 'burst', 1, 4294967295);
        -- All of it, or nothing.
        IF rate_us IS NULL OR rate_burst IS NULL THEN
            rate_messages := NULL;
        END IF;
    END IF;
END
$body$
