-- Messages that were given up.

-- Kept until somebody decides what to do with them, or for as long as the topic's settings say.
CREATE TABLE outtray.dead_letter (
    topic text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    rank smallint NOT NULL,
    attempts smallint NOT NULL,
    reason text NOT NULL,
    error text NOT NULL,
    failures jsonb,
    sent_at timestamptz NOT NULL,
    died_at timestamptz NOT NULL DEFAULT now(),
    headers json,
    payload json,
    body bytea,
    key text COLLATE "C",
    expires_at timestamptz,
    on_end smallint,
    -- Its place among the messages of its key.
    seq bigint,
    -- The dedupe key that it held until it ended, and takes again when it is redriven.
    dedupe_key text COLLATE "C",
    PRIMARY KEY (topic, id),
    CONSTRAINT one_content CHECK ((payload IS NULL) <> (body IS NULL))
);

-- Serves listings, oldest first, and nothing else: no other statement writes the topic in this way,
-- and so none is planned with this index.
CREATE INDEX dead_letter_age ON outtray.dead_letter ((topic || ''), died_at);
-- With the place: what comes after a dead letter of its key may have to wait for it.
CREATE INDEX dead_letter_key ON outtray.dead_letter (topic COLLATE "POSIX", key, seq)
    WHERE key IS NOT NULL;

-- Returns what errors have in common that differ in ids and numbers alone: `#` in their places, and
-- no more than 200 characters. PL/pgSQL, as `matches` is.
CREATE FUNCTION outtray.error_shape(error text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN left(regexp_replace(
        left(error, 1000),
        '[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|0x[0-9a-fA-F]+|[0-9]+([.:][0-9]+)*',
        '#', 'g'
    ), 200);
END
$$;
GRANT EXECUTE ON FUNCTION outtray.error_shape(text) TO PUBLIC;
