-- Bounded topics: how much room a topic has left.

-- How many messages a bounded topic holds. Senders add to `used` one after the other. Messages that
-- end are noted in `vacated`, where nobody waits for anybody, and senders take them off `used`.
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
