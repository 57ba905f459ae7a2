-- Messages that are sent again and again.

CREATE TABLE outtray.recurring (
    topic text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    cron text NOT NULL,
    time_zone text NOT NULL,
    -- What happens to runs that were missed because no process ran: skip, once or all.
    missed text NOT NULL,
    rank smallint NOT NULL,
    key text COLLATE "C",
    -- How long each of its messages is worth handling; NULL: the topic's default.
    expires_us bigint,
    -- The dedupe key that each of its messages holds until it has ended.
    dedupe_key text COLLATE "C",
    headers json,
    payload json,
    body bytea,
    next_at timestamptz NOT NULL,
    last_at timestamptz,
    -- Since when an operator has stopped it.
    paused_at timestamptz,
    PRIMARY KEY (topic, name),
    CONSTRAINT one_content CHECK ((payload IS NULL) <> (body IS NULL))
);

CREATE INDEX recurring_next ON outtray.recurring (next_at) WHERE paused_at IS NULL;
