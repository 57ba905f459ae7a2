-- History: how messages ended, of topics that keep it (`keep_done`).

-- As for entries of logs: PostgreSQL refuses to make a partitioned table where `default_tablespace`
-- names the tablespace of the database.
SELECT set_config('history.tablespace', current_setting('default_tablespace'), true);
SET LOCAL default_tablespace = '';

-- How messages ended, written in the transaction that ends them, and never changed. A message that
-- was redriven may end again. A row is of one message, or of several that ended together and have
-- all else in common, and whose ids begin alike: with the first 40 bits, which for those that
-- outtray makes is a quarter of a second. Rows are in partitions by the five days in which they
-- are over, so that each is emptied as a whole, however long topics keep theirs.
CREATE TABLE outtray.history (
    -- The last day on which it is kept, counted from 1970.
    day bigint NOT NULL,
    topic text COLLATE "C" NOT NULL,
    -- Of several, that of any.
    id uuid NOT NULL,
    -- done, dead, cancelled or expired
    how text NOT NULL,
    ended_at timestamptz NOT NULL,
    key text COLLATE "C",
    -- The header `message-type`.
    kind text,
    sent_at timestamptz NOT NULL,
    -- Since when it could be handled, if that is not when it was sent, as in `message`.
    due_at timestamptz,
    -- When its last delivery began, where that is known.
    started_at timestamptz,
    -- Its deliveries, the last one included.
    attempts smallint NOT NULL,
    -- Where it was handled: host and process id.
    process text,
    -- Why it became a dead letter.
    reason text,
    error text,
    failures jsonb,
    -- What its handler recorded, of a tracked message.
    result json,
    -- Only where the topic keeps these, too.
    headers json,
    payload json,
    body bytea,
    -- Of several messages the ids, and the times when they were sent, in the same order.
    ids uuid[],
    sent_ats timestamptz[]
) PARTITION BY LIST ((day / 5 % 8));

-- Lists what ended last.
CREATE INDEX history_ended ON outtray.history (topic, ended_at);
CREATE INDEX history_id ON outtray.history (id);
-- These two by another collation of the topic, as in `message_key`: only statements that say so can
-- use them, and those can use no other.
CREATE INDEX history_key ON outtray.history (topic COLLATE "POSIX", key, ended_at) WHERE key IS NOT NULL;
CREATE INDEX history_how ON outtray.history (topic COLLATE "POSIX", how, ended_at) WHERE how <> 'done';

SELECT set_config('default_tablespace', current_setting('history.tablespace'), true);

-- Rows are kept for 30 days at most. Those days are in seven partitions, so the eighth is over, and
-- has five days' time to be emptied. More partitions would be over sooner, and each costs every
-- database seven files, whether a topic keeps its history or not.
CREATE TABLE outtray.history_0 PARTITION OF outtray.history FOR VALUES IN (0);
CREATE TABLE outtray.history_1 PARTITION OF outtray.history FOR VALUES IN (1);
CREATE TABLE outtray.history_2 PARTITION OF outtray.history FOR VALUES IN (2);
CREATE TABLE outtray.history_3 PARTITION OF outtray.history FOR VALUES IN (3);
CREATE TABLE outtray.history_4 PARTITION OF outtray.history FOR VALUES IN (4);
CREATE TABLE outtray.history_5 PARTITION OF outtray.history FOR VALUES IN (5);
CREATE TABLE outtray.history_6 PARTITION OF outtray.history FOR VALUES IN (6);
CREATE TABLE outtray.history_7 PARTITION OF outtray.history FOR VALUES IN (7);

-- Empties the partition that is needed next, of which all is over; fails where somebody reads from
-- it. Returns whether there was anything. With the owner's rights, since it takes them to do so.
CREATE FUNCTION outtray.history_prune() RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    one text := 'history_' || (floor(extract(epoch FROM clock_timestamp()) / (5 * 86400))::bigint + 7) % 8;
    is_used boolean;
BEGIN
    EXECUTE format('SELECT EXISTS (SELECT FROM outtray.%I)', one) INTO is_used;
    IF is_used THEN
        EXECUTE format('LOCK TABLE outtray.%I IN ACCESS EXCLUSIVE MODE NOWAIT', one);
        EXECUTE format('TRUNCATE TABLE outtray.%I', one);
    END IF;
    RETURN is_used;
END
$$;
-- Whoever looks after topics calls it, whatever the default privileges of the database are.
GRANT EXECUTE ON FUNCTION outtray.history_prune() TO PUBLIC;
