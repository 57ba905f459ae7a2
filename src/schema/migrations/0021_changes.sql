-- What operators changed, and who they were.

-- One row for each change that an operator made, written in its transaction. A change of many
-- messages, in several transactions, has one row, whose number grows.
CREATE TABLE outtray.change (
    -- Empty where it concerns no one topic.
    topic text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    -- Who, and from where.
    operator text NOT NULL,
    address text,
    what text NOT NULL,
    -- How many messages, and the first of them where they were named.
    messages bigint,
    ids uuid[],
    details json,
    PRIMARY KEY (topic, id)
);

CREATE INDEX change_at ON outtray.change (at, id);
-- With the collation of `message_key`, for its reason.
CREATE INDEX change_topic ON outtray.change (topic COLLATE "POSIX", at, id);
