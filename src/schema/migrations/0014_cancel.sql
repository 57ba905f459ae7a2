-- Messages in work that somebody cancelled.

-- Asks whoever works on a message to give it up.
CREATE TABLE outtray.cancellation (
    topic text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, id)
);
