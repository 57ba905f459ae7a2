-- Receivers, and what those that died had in hand.

-- Who receives. A row whose process no longer holds its advisory lock belongs to a process that
-- died. Behind a pooler, where no such lock can be held, it is one that was not seen for a while.
CREATE SEQUENCE outtray.worker_seq AS bigint;
CREATE TABLE outtray.worker (
    topic text COLLATE "C" NOT NULL,
    id bigint NOT NULL DEFAULT nextval('outtray.worker_seq'::regclass),
    process text NOT NULL,
    holds_lock boolean NOT NULL,
    -- Odd while it may have messages in hand. It grows with each change, so that a late writer
    -- changes nothing.
    shift bigint NOT NULL DEFAULT 0,
    -- The most messages that it has in hand at a time.
    most integer NOT NULL DEFAULT 64,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    -- For people: its process, what it is like, and what its workers did when it was seen last.
    host text,
    pid bigint,
    program text,
    version text,
    workers bigint,
    filter text,
    lease_ms bigint,
    busy bigint,
    in_hand bigint,
    handlers jsonb,
    PRIMARY KEY (topic, id)
);

-- What each worker of a suspect topic has in hand: one row for each worker, rewritten for each
-- transaction before its handlers run. When the process dies, its rows are counted in `attempt`.
CREATE TABLE outtray.hand (
    topic text COLLATE "C" NOT NULL,
    holder bigint NOT NULL,
    worker integer NOT NULL,
    ids uuid[] NOT NULL,
    -- Whether its only message ran alone among the careful deliveries of its process.
    is_alone boolean NOT NULL,
    PRIMARY KEY (topic, holder, worker)
) WITH (fillfactor = 50);

-- Deliveries that were counted before their handlers ran, and ended with their process.
CREATE TABLE outtray.attempt (
    topic text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    attempts smallint NOT NULL,
    -- Whether the message was alone in one of them, so that there is no doubt which message did it.
    is_certain boolean NOT NULL DEFAULT true,
    begun_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, id)
);
