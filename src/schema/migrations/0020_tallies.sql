-- What became of messages, minute by minute: statistics, on which nothing else rests.

-- One row for each topic and minute in which something happened, written by the upkeep of each
-- process once a minute, and kept for 25 hours.
CREATE TABLE outtray.tally (
    topic text COLLATE "C" NOT NULL,
    -- Counted from 1970.
    minute bigint NOT NULL,
    done bigint NOT NULL,
    -- Attempts, of which a message may have several.
    failed bigint NOT NULL,
    dead bigint NOT NULL,
    expired bigint NOT NULL,
    cancelled bigint NOT NULL,
    -- How long handlers took together.
    handled_us bigint NOT NULL,
    PRIMARY KEY (topic, minute)
) WITH (
    -- Each process adds to the row of its minute, in its place.
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

-- Finds those of the last hour, and those that are old. On an expression, so that no statement that
-- names a tally by its key is planned with this index.
CREATE INDEX tally_minute ON outtray.tally ((minute + 0));
