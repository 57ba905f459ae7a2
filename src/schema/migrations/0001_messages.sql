-- Messages, what waits, what died, what topics know, who receives.
--
-- `topic` leads every key: it is the distribution column where the database is distributed, and
-- the first thing every claim asks for. COLLATE "C" compares bytes: quicker, and no operating
-- system upgrade can reorder the index.

-- A sequence default, not an identity column: distributed tables can have one. Ids commit out of
-- order; nothing depends on their being dense.
CREATE SEQUENCE outtray.message_seq AS bigint;

-- Ready messages only. The table is append and delete; what waits for its time is in `scheduled`.
CREATE TABLE outtray.message (
    topic text COLLATE "C" NOT NULL,
    -- Minus the priority, so that one ascending index serves "most urgent, then oldest".
    rank smallint NOT NULL,
    seq bigint NOT NULL DEFAULT nextval('outtray.message_seq'::regclass),
    id uuid NOT NULL,
    -- Failed deliveries so far.
    attempts smallint NOT NULL DEFAULT 0,
    -- Set only on the failed head of a topic in strict order, which keeps its place.
    not_before timestamptz,
    sent_at timestamptz NOT NULL DEFAULT now(),
    headers json,
    -- Exactly one of the two. `json` keeps the text as it was sent.
    payload json,
    body bytea,
    -- The claim index, and the only B-tree.
    PRIMARY KEY (topic, rank, seq),
    CONSTRAINT one_content CHECK ((payload IS NULL) <> (body IS NULL)),
    CONSTRAINT attempts_count CHECK (attempts >= 0)
) WITH (
    -- A queue is emptied all the time: vacuum by rows died, not by a share of a table whose size
    -- swings, and do not pause while at it.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 0.2,
    autovacuum_vacuum_insert_threshold = 10000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0,
    -- Pages at the end are given back at night, not while claims run: truncation takes an
    -- ACCESS EXCLUSIVE lock that stalls every claim behind it.
    vacuum_truncate = false
);

-- Delays and retries wait here until they are due.
CREATE TABLE outtray.scheduled (
    topic text COLLATE "C" NOT NULL,
    rank smallint NOT NULL,
    id uuid NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    headers json,
    payload json,
    body bytea,
    -- Why it is tried again; empty for a message that was sent with a delay.
    error text,
    PRIMARY KEY (topic, id),
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

-- Serves the move of due messages, and the question when the next one is due. With the topic, so that what is due in few
-- topics is found behind a million of others without reading their rows. Without what waits for others (at infinity), so
-- that no statement about that is planned with it.
CREATE INDEX scheduled_due ON outtray.scheduled (due_at, topic) WHERE due_at < 'infinity';

-- Kept until somebody decides, or for as long as a topic's settings say.
CREATE TABLE outtray.dead_letter (
    topic text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    rank smallint NOT NULL,
    attempts smallint NOT NULL,
    reason text NOT NULL,
    error text NOT NULL,
    sent_at timestamptz NOT NULL,
    died_at timestamptz NOT NULL DEFAULT now(),
    headers json,
    payload json,
    body bytea,
    PRIMARY KEY (topic, id),
    CONSTRAINT one_content CHECK ((payload IS NULL) <> (body IS NULL))
);

-- Serves listings, oldest first, and nothing else: no other statement says the topic in this way, and so none is planned with it.
CREATE INDEX dead_letter_age ON outtray.dead_letter ((topic || ''), died_at);

-- What a topic knows about itself. A topic without a row has the defaults.
CREATE TABLE outtray.topic (
    topic text COLLATE "C" NOT NULL,
    -- Until then a receiver counts attempts before it runs a handler, because a process died here.
    suspect_until timestamptz,
    -- What that process may have had in hand lies at these ranks, each up to the seq beside it: when that has ended,
    -- so has the suspicion. NULL: nobody knows.
    suspect_ranks smallint[],
    suspect_seqs bigint[],
    PRIMARY KEY (topic)
);

-- The turn of a topic in strict order: who holds the row's lock may handle the next message. A row
-- of its own, since the lock lasts as long as a handler and nothing else may wait for it.
CREATE TABLE outtray.turn (
    topic text COLLATE "C" NOT NULL,
    PRIMARY KEY (topic)
);

-- Who receives. A row whose process no longer holds its advisory lock (or, behind a pooler, has
-- not been seen for a while) belongs to a process that died.
CREATE SEQUENCE outtray.worker_seq AS bigint;
CREATE TABLE outtray.worker (
    topic text COLLATE "C" NOT NULL,
    id bigint NOT NULL DEFAULT nextval('outtray.worker_seq'::regclass),
    process text NOT NULL,
    holds_lock boolean NOT NULL,
    -- Odd while it may have messages in hand; grows with each change, so that a late writer changes nothing.
    shift bigint NOT NULL DEFAULT 0,
    -- The most messages that it has in hand at a time.
    most integer NOT NULL DEFAULT 64,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, id)
);

-- What each worker of a suspect topic has in hand, written before its handlers run: a row each, which is written anew
-- for each transaction. That of a process that died is counted in `attempt`.
CREATE TABLE outtray.hand (
    topic text COLLATE "C" NOT NULL,
    holder bigint NOT NULL,
    worker integer NOT NULL,
    ids uuid[] NOT NULL,
    -- Whether the one message in it ran alone among the careful deliveries of its process.
    is_alone boolean NOT NULL,
    PRIMARY KEY (topic, holder, worker)
) WITH (fillfactor = 50);

-- Deliveries that were counted before their handlers ran, and ended with their process.
CREATE TABLE outtray.attempt (
    topic text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    attempts smallint NOT NULL,
    -- Whether the message was alone in one of them, so that there is no doubt that it did it.
    is_certain boolean NOT NULL DEFAULT true,
    begun_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, id)
);

-- Fails the statement that calls it, and with it the transaction: rows were `wanted` and only `counted` of them touched. A DELETE
-- that removes nothing is a success to the server, and happens behind a trigger, row-level security, or a shard that moved. A
-- code of its own, since who runs the transaction has to tell it from all else. VOLATILE, or a call with constants would fail as soon as
-- it is planned.
CREATE FUNCTION outtray.miscounted(counted bigint, wanted bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE EXCEPTION 'of % messages in hand only % could be settled', wanted, counted
        USING ERRCODE = 'OT001';
END
$$;
-- Whatever the database's defaults are: everybody who settles calls it.
GRANT EXECUTE ON FUNCTION outtray.miscounted(bigint, bigint) TO PUBLIC;
