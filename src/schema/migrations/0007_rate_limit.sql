-- Rate limits, as token buckets.

-- The bucket of a topic (with the empty key), or of one of its keys. A full bucket has no row, or
-- one whose time is past.
CREATE TABLE outtray.bucket (
    topic text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    -- When it will be full again. It fills by itself, whatever the rate is by then.
    full_at timestamptz NOT NULL,
    -- How many tokens the last request got: an upsert can return only what it stores.
    granted bigint NOT NULL,
    -- When that was, and the rate of then: microseconds for each token, and how many it holds. An
    -- upsert computes with them.
    asked_at timestamptz NOT NULL DEFAULT now(),
    token_us double precision NOT NULL DEFAULT 1,
    burst bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (topic, key)
) WITH (fillfactor = 50);
