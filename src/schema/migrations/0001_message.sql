-- Messages that are ready, and the check of those who remove them.
--
-- Of every table:
-- `topic` leads every key. It is the distribution column where the database is distributed, and the
-- first thing that every claim asks for. COLLATE "C" compares bytes: this is faster, and no upgrade
-- of the operating system can reorder an index.
-- A message that uses none of the optional features leaves their columns NULL, which costs its row
-- nothing.

-- A sequence default instead of an identity column: distributed tables can have one. Numbers commit
-- out of order, and nothing depends on their being dense.
CREATE SEQUENCE outtray.message_seq AS bigint;

-- Messages that are ready to be claimed. Rows are inserted and deleted, hardly ever updated; what
-- waits for its time is in `scheduled`, what waits for another message of its key in `follower`.
CREATE TABLE outtray.message (
    topic text COLLATE "C" NOT NULL,
    -- Minus the priority, so that one ascending index serves "most urgent first, then oldest".
    rank smallint NOT NULL,
    seq bigint NOT NULL DEFAULT nextval('outtray.message_seq'::regclass),
    id uuid NOT NULL,
    -- Failed deliveries so far. Whoever reads a negative number takes it for 0. A CHECK against it
    -- would be read for each statement and evaluated for each row, which costs as much as one of
    -- the partial indexes below.
    attempts smallint NOT NULL DEFAULT 0,
    -- Set only on the failed head of a topic in strict order, which keeps its place.
    not_before timestamptz,
    sent_at timestamptz NOT NULL DEFAULT now(),
    headers json,
    -- Exactly one of the two is set. `json` keeps the text as it was sent.
    payload json,
    body bytea,
    -- Messages with the same key are handled one at a time. Only the heads of a key are in this
    -- table; those behind them are in `follower`, so that a stuck key costs the others nothing.
    key text COLLATE "C",
    -- When it is no longer worth handling.
    expires_at timestamptz,
    -- Since when it could have been handled, if that is not when it was sent: after a delay, a
    -- retry or a redrive. Tells how long it waited, and decides nothing.
    due_at timestamptz,
    -- Who has to be told when it ends, as a sum: 1 somebody waits for it (`outcome`), 2 it takes
    -- room in a bounded topic (`room`), 4 it holds a dedupe key (`dedupe`). NULL: nobody. Also 8:
    -- somebody waits for a reply to it, and no longer than until it expires.
    on_end smallint,
    -- The attempts that failed, the last ten, as `with_failure` writes them. NULL: none has.
    failures jsonb,
    -- The index that claims use, and the only one that holds every message.
    PRIMARY KEY (topic, rank, seq),
    CONSTRAINT one_content CHECK ((payload IS NULL) <> (body IS NULL))
) WITH (
    -- A queue empties all the time, so vacuum starts after a number of dead rows, not after a share
    -- of a table whose size swings, and does not pause while it works.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.2,
    autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0,
    -- Empty pages at the end are not given back while claims run: truncation takes an ACCESS
    -- EXCLUSIVE lock that stalls every claim behind it.
    vacuum_truncate = false
);

-- Counts the heads of a key. In this and other indexes that begin with the topic, it has the
-- collation "POSIX", which orders as "C" does. Only statements that say "POSIX" can use such an
-- index, and those can use no other. While a table seems empty, all indexes that begin with the
-- topic look equal to the planner, and it might choose one by which it reads a whole topic.
CREATE INDEX message_key ON outtray.message (topic COLLATE "POSIX", key) WHERE key IS NOT NULL;
-- Finds expired messages also in topics that nobody claims from.
CREATE INDEX message_expiry ON outtray.message (expires_at) WHERE expires_at IS NOT NULL;
-- Finds tracked messages by id alone. Not all messages: a BRIN index on ids would more than triple
-- the WAL of a send (measured: from 240 to 790 bytes), since each new id widens its block range.
CREATE INDEX message_tracked ON outtray.message (id) WHERE on_end IS NOT NULL;

-- Fails the statement that calls it, and so the transaction: it had `wanted` rows to remove and
-- removed only `counted`. A DELETE that removes nothing is a success to the server, and happens
-- behind a trigger, row-level security, or a shard that moved. The SQLSTATE is our own, since the
-- caller of the transaction has to tell this from everything else. VOLATILE, because a call with
-- constants would otherwise fail when it is planned.
CREATE FUNCTION outtray.miscounted(counted bigint, wanted bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE EXCEPTION 'of % messages in hand only % could be settled', wanted, counted
        USING ERRCODE = 'OT001';
END
$$;
-- Everybody who settles calls it, whatever the default privileges of the database are.
GRANT EXECUTE ON FUNCTION outtray.miscounted(bigint, bigint) TO PUBLIC;

-- Returns the failures of a message and one more, `failure`, an object as text, with the time in
-- microseconds since 1970; the last ten of them. Where there is none to add: those before. What
-- a hand wrote and is no list counts as none.
CREATE FUNCTION outtray.with_failure(failures jsonb, failure text, at_us bigint) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF failure IS NULL THEN
        RETURN failures;
    END IF;
    IF pg_catalog.jsonb_typeof(failures) IS DISTINCT FROM 'array' THEN
        failures := '[]';
    END IF;
    WHILE pg_catalog.jsonb_array_length(failures) > 9 LOOP
        failures := failures - 0;
    END LOOP;
    RETURN failures || (failure::jsonb || pg_catalog.jsonb_build_object('at_us', at_us));
END
$$;
GRANT EXECUTE ON FUNCTION outtray.with_failure(jsonb, text, bigint) TO PUBLIC;
