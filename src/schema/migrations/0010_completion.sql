-- Completion: how tracked messages ended.

-- One row for each tracked message, kept for a while after its end.
CREATE TABLE outtray.outcome (
    topic text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    -- pending, done, dead, cancelled, expired or purged
    state text NOT NULL DEFAULT 'pending',
    result json,
    -- How long it is kept after the end.
    kept_ms bigint NOT NULL,
    ended_at timestamptz,
    -- How many messages a group has; set on the message that completes the group.
    members integer,
    PRIMARY KEY (topic, id)
) WITH (
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

-- Finds an outcome by its id alone. By the bytes of the id, so that only this index serves the
-- statements that say so. While the table seems empty, the planner takes the primary key, in which
-- the id comes second, to be as cheap, and would read all of it.
CREATE INDEX outcome_id ON outtray.outcome (uuid_send(id));
-- Finds those whose time is over: for each of the few lengths of time in use, the oldest first.
CREATE INDEX outcome_ended ON outtray.outcome (kept_ms, ended_at) WHERE ended_at IS NOT NULL;
