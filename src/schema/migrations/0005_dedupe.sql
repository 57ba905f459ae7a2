-- Dedupe keys: a second message with the same dedupe key is not sent.

-- Dedupe keys that were sent. One with a window outlives its message; one that lasts until its
-- message has ended expires at 'infinity'.
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
-- Finds the dedupe key of a message that ends. By the bytes of the id, for the reason of
-- `outcome_id`.
CREATE INDEX dedupe_held ON outtray.dedupe (uuid_send(id)) WHERE expires_at = 'infinity';
