-- Topics in strict order: one message at a time, and none before the one ahead of it has ended.

-- The turn of a topic: whoever holds the row's lock may handle the next message. It has a table of
-- its own, since the lock lasts as long as a handler, and nothing else may wait for it.
CREATE TABLE outtray.turn (
    topic text COLLATE "C" NOT NULL,
    PRIMARY KEY (topic)
);
