-- Messages that are not ready.

-- Here wait delayed messages, retries, leased messages until their lease ends (those have a
-- receipt), and messages that come after others (due at 'infinity').
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
    -- Why it is tried again; NULL for a message that was sent with a delay.
    error text,
    failures jsonb,
    key text COLLATE "C",
    expires_at timestamptz,
    on_end smallint,
    -- The place in the topic that it goes back to; NULL: the end. A message with a key and a place
    -- is a head of its key, and those behind it wait for it.
    seq bigint,
    -- Proves that a message is leased, and to whom: a new one for each delivery.
    receipt uuid,
    -- Asks the holder of the lease to give up.
    is_cancelled boolean,
    -- How long a message that comes after others still waits once they are done, or until when,
    -- counted from 1970. Both in microseconds.
    wait_us bigint,
    until_us bigint,
    PRIMARY KEY (topic, id),
    CONSTRAINT one_content CHECK ((payload IS NULL) <> (body IS NULL)),
    CONSTRAINT attempts_count CHECK (attempts >= 0),
    -- No line of a key takes a longer one. With a place, the index below says so.
    CONSTRAINT key_length CHECK (seq IS NOT NULL OR octet_length(topic) + octet_length(key) <= 2000)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 5000,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = false
);

-- Finds due messages, and when the next one is due. With the topic, so that what is due in a few
-- topics is found behind a million messages of others without reading their rows. Without messages
-- that come after others, so that no statement about those is planned with this index.
CREATE INDEX scheduled_due ON outtray.scheduled (due_at, topic) WHERE due_at < 'infinity';
CREATE INDEX scheduled_key ON outtray.scheduled (topic COLLATE "POSIX", key)
    WHERE key IS NOT NULL AND seq IS NOT NULL;
-- Without leased messages: their expiry is left to those who work on them.
CREATE INDEX scheduled_expiry ON outtray.scheduled (expires_at)
    WHERE expires_at IS NOT NULL AND receipt IS NULL;
-- Counts leased messages, where a topic limits how many are in work. Without the id: a statement
-- about one lease might come to use this index, and read all of it.
CREATE INDEX scheduled_leased ON outtray.scheduled (topic COLLATE "POSIX", seq)
    WHERE receipt IS NOT NULL;
-- Finds messages that come after others, for the sweep over those whose turn came unnoticed.
CREATE INDEX scheduled_after ON outtray.scheduled (topic COLLATE "POSIX", id)
    WHERE due_at = 'infinity';
