-- Subscriptions: which topics get a copy of what is published.

-- One row for each pattern of a topic. Publishers read all of them, and keep what they read as long
-- as the version below is the same.
CREATE TABLE outtray.subscription (
    topic text COLLATE "C" NOT NULL,
    -- Empty, with a grace time, where a topic is only held, as one for replies is: it gets no
    -- copies.
    pattern text COLLATE "C" NOT NULL,
    -- Which headers a message has to have, as text. NULL: any. As text, and not as a document that
    -- the database checks: what cannot be read is set aside by whoever reads it, and alone.
    filter text,
    -- The filter as `matches` takes it, and the text that it was made from: for publishers that
    -- cannot read the text. It counts as missing where that text is another one by now.
    program json,
    -- When nobody has said for so long that it is still wanted, an ephemeral subscription ends, and
    -- its topic with it. NULL: it lasts until somebody unsubscribes.
    grace_us bigint,
    expires_at timestamptz,
    subscribed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, pattern)
);

-- Finds ephemeral subscriptions whose holders died.
CREATE INDEX subscription_expiry ON outtray.subscription (expires_at) WHERE expires_at IS NOT NULL;

-- What tells whether subscriptions changed: one row, of the topic '', which no topic can be called.
-- Who changes subscriptions locks it first and gives it a new version, so that rows and version
-- change together. A random id instead of a count: after a restore, or when the schema was dropped
-- and made anew, a count could come to the same number again. No row: nobody ever subscribed. Who
-- writes subscriptions by hand changes it too, in the same transaction.
CREATE TABLE outtray.subscription_version (
    topic text COLLATE "C" NOT NULL,
    version uuid NOT NULL,
    PRIMARY KEY (topic)
) WITH (fillfactor = 10);

-- Fails the statement that calls it, and so the transaction or its savepoint: what was published
-- was matched with subscriptions that are not those of now. The SQLSTATE is our own, since the
-- caller matches again. VOLATILE, as `miscounted` is.
CREATE FUNCTION outtray.subscriptions_changed() RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE EXCEPTION 'subscriptions changed since a message was published'
        USING ERRCODE = 'OT002';
END
$$;
GRANT EXECUTE ON FUNCTION outtray.subscriptions_changed() TO PUBLIC;
