-- Keys: messages of a topic with the same key are handled one at a time, in the order of sending.

-- Messages behind the heads of their key, in the order of sending.
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
    failures jsonb,
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
-- Finds followers by id alone, as `message_tracked` finds messages.
CREATE INDEX follower_tracked ON outtray.follower (id) WHERE on_end IS NOT NULL;

-- The lock of a key: whoever moves messages into or out of its line holds this row. It is there as
-- long as the key has messages.
CREATE TABLE outtray.lane (
    topic text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    -- Changed by each sender, so that one with an old snapshot is refused instead of misled.
    turns bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, key)
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = false
);

-- Keys whose lines have to be looked at soon. Whoever could not do it at once, because a sender
-- held the lane, adds a row. Each adds a row of its own, so that nobody waits for anybody.
CREATE TABLE outtray.stalled (
    topic text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    -- Who added it: by this, a transaction knows which lanes it did not get.
    said_by uuid NOT NULL,
    PRIMARY KEY (topic, key, said_by)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = false
);
