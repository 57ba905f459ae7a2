-- Leases, keys, expiry, dedupe, dependencies, limits: what a message can ask for, and what a topic can be told.
--
-- A message that asks for none of it leaves the new columns NULL, which costs its row nothing.

-- Messages with the same key are handled one at a time. Only the first ones of a key are here: those
-- behind them are in `follower`, so that a key that is stuck costs the others nothing.
ALTER TABLE outtray.message
    ADD COLUMN key text COLLATE "C",
    -- When it is no longer worth handling.
    ADD COLUMN expires_at timestamptz,
    -- What its end matters to, as a sum: 1 somebody waits for it (`outcome`), 2 it takes room in a bounded topic, 4 it has a
    -- dedupe key until then.
    -- NULL: nobody has to be told.
    ADD COLUMN on_end smallint,
    -- It is read anew with each statement and asked of each row, as the three indexes below are, and pays for one of
    -- them. Whoever reads the number takes one below zero for zero.
    DROP CONSTRAINT attempts_count;

-- How many messages of a key are out of its line. The topic of this index and of others that begin with it is said to have
-- the collation "POSIX", which orders as "C" does, and so do the statements that are made for them: no other index serves those,
-- and these serve no other statement. To the planner all indexes that begin with the topic are the same while the table seems
-- empty, and it would read all of a topic by one of them.
CREATE INDEX message_key ON outtray.message (topic COLLATE "POSIX", key) WHERE key IS NOT NULL;
-- Expired messages are taken out also where nobody claims.
CREATE INDEX message_expiry ON outtray.message (expires_at) WHERE expires_at IS NOT NULL;
-- Finds tracked messages by their id alone. Not all: block ranges of ids (BRIN) would more than triple what a send
-- writes to the WAL, since each new id widens the range that it falls into (measured: 240 to 790 bytes).
CREATE INDEX message_tracked ON outtray.message (id) WHERE on_end IS NOT NULL;

-- Here wait delays, retries, leases until they end (a receipt), and messages that come after others (due at
-- 'infinity').
ALTER TABLE outtray.scheduled
    ADD COLUMN key text COLLATE "C",
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN on_end smallint,
    -- The place in the topic that it goes back to; NULL: the end. A message with a key and a place is at its
    -- key's head, and those behind it wait for it.
    ADD COLUMN seq bigint,
    -- Proves that a message is leased, and to whom: a new one for each delivery.
    ADD COLUMN receipt uuid,
    -- Asks the holder of the lease to give up.
    ADD COLUMN is_cancelled boolean;

CREATE INDEX scheduled_key ON outtray.scheduled (topic COLLATE "POSIX", key) WHERE key IS NOT NULL AND seq IS NOT NULL;
-- Not those in work: they are left to who works on them.
CREATE INDEX scheduled_expiry ON outtray.scheduled (expires_at) WHERE expires_at IS NOT NULL AND receipt IS NULL;
-- How many are leased, where a topic is limited to so many in work. Not with the id: a statement about one lease might come to
-- use it, and read all of it.
CREATE INDEX scheduled_leased ON outtray.scheduled (topic COLLATE "POSIX", seq) WHERE receipt IS NOT NULL;
-- Messages that come after others, for the sweep that finds those whose turn came unnoticed.
CREATE INDEX scheduled_after ON outtray.scheduled (topic COLLATE "POSIX", id) WHERE due_at = 'infinity';

ALTER TABLE outtray.dead_letter
    ADD COLUMN key text COLLATE "C",
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN on_end smallint,
    -- Where it stood among the messages of its key.
    ADD COLUMN seq bigint,
    -- The dedupe key that it had until it ended, and takes again when it is redriven.
    ADD COLUMN dedupe_key text COLLATE "C";

-- With the place: what comes after a dead letter of its key may have to wait.
CREATE INDEX dead_letter_key ON outtray.dead_letter (topic COLLATE "POSIX", key, seq) WHERE key IS NOT NULL;

-- Messages behind the first ones of their key, in the order of sending.
CREATE TABLE outtray.follower (
    topic text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    seq bigint NOT NULL DEFAULT nextval('outtray.message_seq'::regclass),
    rank smallint NOT NULL,
    id uuid NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    sent_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    on_end smallint,
    headers json,
    payload json,
    body bytea,
    PRIMARY KEY (topic, key, seq),
    CONSTRAINT one_content CHECK ((payload IS NULL) <> (body IS NULL)),
    CONSTRAINT attempts_count CHECK (attempts >= 0)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = false
);

CREATE INDEX follower_expiry ON outtray.follower (expires_at) WHERE expires_at IS NOT NULL;

-- The lock of a key: whoever moves messages in or out of its line holds the row. There while the key has messages.
CREATE TABLE outtray.lane (
    topic text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    -- Changed by each sender: one with an old snapshot is refused instead of misled.
    turns bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, key)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = false
);

-- Keys whose lines are to be looked at soon: who could not do it at once, since a sender held the lane, says so
-- here. A row for each time, so that nobody waits for anybody.
CREATE TABLE outtray.stalled (
    topic text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    -- Who says so: by it a transaction knows which lanes it did not get.
    said_by uuid NOT NULL,
    PRIMARY KEY (topic, key, said_by)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = false
);

-- What an operator set for a topic, which every process obeys.
ALTER TABLE outtray.topic
    -- The settings as one document, so that a new one needs no new column. NULL: the defaults.
    ADD COLUMN config json,
    -- What statements have to know of it. They read these columns and never the document: what it says may be from a hand, or
    -- of a later release. What is no such value counts as not set, here as in `TopicConfig`; a test compares the two.
    ADD COLUMN max_in_work integer GENERATED ALWAYS AS (
        CASE
            WHEN json_typeof(config -> 'max_in_work'::text) = 'number'
                AND config ->> 'max_in_work'::text ~ '^([1-9][0-9]{0,3}|10000)$'
            THEN (config ->> 'max_in_work'::text)::integer
        END
    ) STORED,
    ADD COLUMN max_in_work_per_key bigint GENERATED ALWAYS AS (
        CASE
            WHEN json_typeof(config -> 'max_in_work_per_key'::text) = 'number'
                AND config ->> 'max_in_work_per_key'::text ~ '^([1-9][0-9]{0,3}|10000)$'
            THEN (config ->> 'max_in_work_per_key'::text)::bigint
        END
    ) STORED,
    ADD COLUMN poisoned_key text GENERATED ALWAYS AS (
        CASE
            WHEN json_typeof(config -> 'poisoned_key'::text) = 'string'
                AND config ->> 'poisoned_key'::text IN ('block', 'park', 'skip')
            THEN config ->> 'poisoned_key'::text
        END
    ) STORED,
    ADD COLUMN paused_at timestamptz,
    -- When one of the two changed last: a poll sees by it that there is something to read.
    ADD COLUMN changed_at timestamptz;

-- The places of a topic that is limited to so many messages in work: who works holds the lock of one.
CREATE TABLE outtray.slot (
    topic text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    PRIMARY KEY (topic, number)
);

-- Sends with a dedupe key. One with a window outlives the message; one that lasts until its message has ended expires at
-- 'infinity'.
CREATE TABLE outtray.dedupe (
    topic text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (topic, key)
) WITH (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX dedupe_expiry ON outtray.dedupe (expires_at) WHERE expires_at < 'infinity';
-- Finds the key of a message that ends. As bytes for the reason of `outcome_id`.
CREATE INDEX dedupe_held ON outtray.dedupe (uuid_send(id)) WHERE expires_at = 'infinity';

-- How tracked messages ended; kept for a while after.
CREATE TABLE outtray.outcome (
    topic text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    -- pending, done, dead, cancelled, expired or purged
    state text NOT NULL DEFAULT 'pending',
    result json,
    -- How long it is kept after the end.
    kept_ms bigint NOT NULL,
    ended_at timestamptz,
    -- How many messages a group has, in the outcome of the message that completes it.
    members integer,
    PRIMARY KEY (topic, id)
) WITH (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

-- Finds an outcome by its id alone. The id as its bytes, so that only this index serves the statements that say so: to the planner the
-- primary key, where the id comes second, is no dearer while the table seems empty, and would be read whole.
CREATE INDEX outcome_id ON outtray.outcome (uuid_send(id));
-- Those whose time is over: for each of the few lengths of time that are in use, the oldest first.
CREATE INDEX outcome_ended ON outtray.outcome (kept_ms, ended_at) WHERE ended_at IS NOT NULL;

-- Finds a follower by its id alone, as `message_tracked` does a message.
CREATE INDEX follower_tracked ON outtray.follower (id) WHERE on_end IS NOT NULL;

-- What a message that comes after others waits for once they are done: a time of its own, in microseconds, or one
-- since 1970.
ALTER TABLE outtray.scheduled
    ADD COLUMN wait_us bigint,
    ADD COLUMN until_us bigint;

-- Messages that come after others: `id` of the topic waits for `on_id`.
CREATE TABLE outtray.dependency (
    topic text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    on_id uuid NOT NULL,
    -- Whether `on_id` has to be done; else any end will do.
    needs_success boolean NOT NULL,
    PRIMARY KEY (topic, id, on_id)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

-- As bytes for the reason of `outcome_id`.
CREATE INDEX dependency_on ON outtray.dependency (uuid_send(on_id));

-- Messages in work that are to be given up.
CREATE TABLE outtray.cancellation (
    topic text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, id)
);

-- The room of a bounded topic. Senders take from `used` one after the other; what ended goes into `vacated`,
-- where nobody waits for anybody, and senders fold it in.
CREATE TABLE outtray.room (
    topic text COLLATE "C" NOT NULL,
    used bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic)
) WITH (fillfactor = 50);

CREATE SEQUENCE outtray.vacated_seq AS bigint;
CREATE TABLE outtray.vacated (
    topic text COLLATE "C" NOT NULL,
    id bigint NOT NULL DEFAULT nextval('outtray.vacated_seq'::regclass),
    messages bigint NOT NULL,
    PRIMARY KEY (topic, id)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

-- Token buckets: of a topic (the empty key), or of its keys. A bucket that is full has no row, or one that is past.
CREATE TABLE outtray.bucket (
    topic text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    -- When it will be full again: it fills by itself, whatever the rate is by then.
    full_at timestamptz NOT NULL,
    -- What was asked last and got: an upsert returns only what is stored.
    granted bigint NOT NULL,
    PRIMARY KEY (topic, key)
) WITH (fillfactor = 50);

-- Messages that are sent again and again.
CREATE TABLE outtray.recurring (
    topic text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    cron text NOT NULL,
    time_zone text NOT NULL,
    -- What happens to runs that nobody was there for: skip, once or all.
    missed text NOT NULL,
    rank smallint NOT NULL,
    key text COLLATE "C",
    -- For how long each of its messages is worth handling; NULL: the topic's default.
    expires_us bigint,
    -- The dedupe key that each of them has until it has ended.
    dedupe_key text COLLATE "C",
    headers json,
    payload json,
    body bytea,
    next_at timestamptz NOT NULL,
    last_at timestamptz,
    PRIMARY KEY (topic, name),
    CONSTRAINT one_content CHECK ((payload IS NULL) <> (body IS NULL))
);

CREATE INDEX recurring_next ON outtray.recurring (next_at);

-- Returns whether the headers of a message are wanted by a filter: its steps, the names that they are about, and what the headers are
-- compared with. Each step puts an answer on the stack, or replaces the last one, or the last two. PL/pgSQL, so that no answer depends on
-- how a statement is planned, and none is an error: a number is read only if it is one.
CREATE FUNCTION outtray.matches(headers json, steps text[], names text[], operands jsonb[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    answers boolean[] := '{}';
    top integer := 0;
    step text;
    value text;
    answer boolean;
BEGIN
    IF headers IS NULL THEN
        headers := '{}';
    ELSIF json_typeof(headers) <> 'object' OR strpos(headers::text, E'\\u') > 0 AND regexp_replace(
        headers::text, E'\\\\\\\\|\\\\u[dD][89abAB]..\\\\u[dD][c-fC-F]..', '', 'g'
    ) ~ E'\\\\u(0000|[dD][89a-fA-F])' THEN
        -- `->>` fails for all of them when one has an escape that stands for no character; no receiver could read it either.
        RETURN false;
    END IF;
    FOR at IN 1 .. pg_catalog.cardinality(steps) LOOP
        step := steps[at];
        IF step = 'in' THEN
            answer := operands[at] ? (headers ->> names[at]);
        ELSIF step = 'and' THEN
            top := top - 2;
            answer := answers[top + 1] AND answers[top + 2];
        ELSIF step = 'or' THEN
            top := top - 2;
            answer := answers[top + 1] OR answers[top + 2];
        ELSIF step = 'not' THEN
            top := top - 1;
            answer := NOT answers[top + 1];
        ELSIF step = 'exists' THEN
            answer := headers -> names[at] IS NOT NULL;
        ELSIF step = 'null' THEN
            answer := json_typeof(headers -> names[at]) = 'null';
        ELSE
            value := headers ->> names[at];
            answer := CASE
                WHEN step = 'prefix' THEN starts_with(value, operands[at] #>> '{}'::text[])
                -- Up to so many digits it is exact. As `is_number` in the library.
                WHEN length(value) <= 1000 AND value ~ '^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]{1,4})?$' THEN CASE step
                    WHEN '==' THEN value::numeric = (operands[at] #>> '{}'::text[])::numeric
                    WHEN '<' THEN value::numeric < (operands[at] #>> '{}'::text[])::numeric
                    WHEN '<=' THEN value::numeric <= (operands[at] #>> '{}'::text[])::numeric
                    WHEN '>' THEN value::numeric > (operands[at] #>> '{}'::text[])::numeric
                    WHEN '>=' THEN value::numeric >= (operands[at] #>> '{}'::text[])::numeric
                END
            END;
        END IF;
        top := top + 1;
        answers[top] := coalesce(answer, false);
    END LOOP;
    RETURN coalesce(answers[1], true);
END
$$;
GRANT EXECUTE ON FUNCTION outtray.matches(json, text[], text[], jsonb[]) TO PUBLIC;
