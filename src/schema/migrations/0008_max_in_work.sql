-- Limits on how many messages of a topic are in work at a time.

-- One row for each message that may be in work: whoever works on one holds the lock of a row.
CREATE TABLE outtray.slot (
    topic text COLLATE "C" NOT NULL,
    number integer NOT NULL,
    PRIMARY KEY (topic, number)
);
