-- What an operator set for a topic, which every process obeys, and what a topic knows about itself.

-- A topic without a row has the defaults.
CREATE TABLE outtray.topic (
    topic text COLLATE "C" NOT NULL,
    -- Until then, a receiver counts attempts before it runs a handler, because a process died here.
    suspect_until timestamptz,
    -- What that process may have had in hand: messages of these ranks, each up to the seq beside
    -- it. The suspicion ends when they have. NULL: nobody knows.
    suspect_ranks smallint[],
    suspect_seqs bigint[],
    -- The settings as one document, so that a new setting needs no new column. NULL: the defaults.
    config json,
    -- The settings that statements need. Statements read these columns and never the document,
    -- which may be written by hand or by a later release. A value that makes no sense counts as not
    -- set, here as in `TopicConfig`; a test compares the two.
    max_in_work integer GENERATED ALWAYS AS (
        CASE
            WHEN json_typeof(config -> 'max_in_work'::text) = 'number'
                AND config ->> 'max_in_work'::text ~ '^([1-9][0-9]{0,3}|10000)$'
            THEN (config ->> 'max_in_work'::text)::integer
        END
    ) STORED,
    max_in_work_per_key bigint GENERATED ALWAYS AS (
        CASE
            WHEN json_typeof(config -> 'max_in_work_per_key'::text) = 'number'
                AND config ->> 'max_in_work_per_key'::text ~ '^([1-9][0-9]{0,3}|10000)$'
            THEN (config ->> 'max_in_work_per_key'::text)::bigint
        END
    ) STORED,
    poisoned_key text GENERATED ALWAYS AS (
        CASE
            WHEN json_typeof(config -> 'poisoned_key'::text) = 'string'
                AND config ->> 'poisoned_key'::text IN ('block', 'park', 'skip')
            THEN config ->> 'poisoned_key'::text
        END
    ) STORED,
    delay_ms bigint GENERATED ALWAYS AS (
        CASE
            WHEN json_typeof(config -> 'delay_ms'::text) = 'number'
                AND config ->> 'delay_ms'::text ~ '^(0|[1-9][0-9]{0,11})$'
            THEN CASE
                WHEN (config ->> 'delay_ms'::text)::bigint <= 315360000000
                THEN (config ->> 'delay_ms'::text)::bigint
            END
        END
    ) STORED,
    expires_in_ms bigint GENERATED ALWAYS AS (
        CASE
            WHEN json_typeof(config -> 'expires_in_ms'::text) = 'number'
                AND config ->> 'expires_in_ms'::text ~ '^[1-9][0-9]{0,11}$'
            THEN CASE
                WHEN (config ->> 'expires_in_ms'::text)::bigint <= 315360000000
                THEN (config ->> 'expires_in_ms'::text)::bigint
            END
        END
    ) STORED,
    max_length bigint GENERATED ALWAYS AS (
        CASE
            WHEN json_typeof(config -> 'max_length'::text) = 'number'
                AND config ->> 'max_length'::text ~ '^[1-9][0-9]{0,18}$'
            THEN CASE
                WHEN (config ->> 'max_length'::text)::numeric <= 9223372036854775807
                THEN (config ->> 'max_length'::text)::bigint
            END
        END
    ) STORED,
    keep_done_ms bigint GENERATED ALWAYS AS (
        CASE
            WHEN json_typeof(config -> 'keep_done_ms'::text) = 'number'
                AND config ->> 'keep_done_ms'::text ~ '^[1-9][0-9]{0,9}$'
            THEN CASE
                WHEN (config ->> 'keep_done_ms'::text)::bigint BETWEEN 60000 AND 2592000000
                THEN (config ->> 'keep_done_ms'::text)::bigint
            END
        END
    ) STORED,
    keep_done_payload boolean GENERATED ALWAYS AS (
        coalesce(
            json_typeof(config -> 'keep_done_payload'::text) = 'boolean' AND config ->> 'keep_done_payload'::text = 'true', false
        )
    ) STORED,
    is_log boolean GENERATED ALWAYS AS (
        coalesce(json_typeof(config -> 'kind'::text) = 'string' AND config ->> 'kind'::text = 'log', false)
    ) STORED,
    paused_at timestamptz,
    -- When the settings or the pause changed last: a poll sees by it whether to read them again.
    changed_at timestamptz,
    PRIMARY KEY (topic)
);
