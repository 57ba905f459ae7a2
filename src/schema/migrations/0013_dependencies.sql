-- Messages that come after others. They wait in `scheduled`.

-- Message `id` of the topic comes after message `on_id`.
CREATE TABLE outtray.dependency (
    topic text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    on_id uuid NOT NULL,
    -- Whether `on_id` has to succeed; otherwise any end will do.
    needs_success boolean NOT NULL,
    PRIMARY KEY (topic, id, on_id)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

-- By the bytes of the id, for the reason of `outcome_id`.
CREATE INDEX dependency_on ON outtray.dependency (uuid_send(on_id));
