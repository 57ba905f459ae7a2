-- History: how messages ended, of topics that keep it (`keep_done`).

-- As for entries of logs: PostgreSQL refuses to make a partitioned table where `default_tablespace`
-- names the tablespace of the database.
SELECT set_config('history.tablespace', current_setting('default_tablespace'), true);
SET LOCAL default_tablespace = '';

-- One row for each end, written in the transaction that ends the message, and never changed. A
-- message that was redriven may end again. Rows are in partitions by the day after which they are
-- over, so that each is emptied as a whole, however long topics keep theirs.
CREATE TABLE outtray.history (
    -- The last day on which it is kept, counted from 1970.
    day bigint NOT NULL,
    topic text COLLATE "C" NOT NULL,
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
    body bytea
) PARTITION BY LIST ((day % 32));

-- Lists what ended last.
CREATE INDEX history_ended ON outtray.history (topic, ended_at, id);
CREATE INDEX history_id ON outtray.history (id);
-- These two by another collation of the topic, as in `message_key`: only statements that say so can
-- use them, and those can use no other.
CREATE INDEX history_key ON outtray.history (topic COLLATE "POSIX", key, ended_at, id) WHERE key IS NOT NULL;
CREATE INDEX history_how ON outtray.history (topic COLLATE "POSIX", how, ended_at, id) WHERE how <> 'done';

SELECT set_config('default_tablespace', current_setting('history.tablespace'), true);

-- Days are kept for 30 of these at most, so that one is always over before its partition is used
-- again.
CREATE TABLE outtray.history_0 PARTITION OF outtray.history FOR VALUES IN (0);
CREATE TABLE outtray.history_1 PARTITION OF outtray.history FOR VALUES IN (1);
CREATE TABLE outtray.history_2 PARTITION OF outtray.history FOR VALUES IN (2);
CREATE TABLE outtray.history_3 PARTITION OF outtray.history FOR VALUES IN (3);
CREATE TABLE outtray.history_4 PARTITION OF outtray.history FOR VALUES IN (4);
CREATE TABLE outtray.history_5 PARTITION OF outtray.history FOR VALUES IN (5);
CREATE TABLE outtray.history_6 PARTITION OF outtray.history FOR VALUES IN (6);
CREATE TABLE outtray.history_7 PARTITION OF outtray.history FOR VALUES IN (7);
CREATE TABLE outtray.history_8 PARTITION OF outtray.history FOR VALUES IN (8);
CREATE TABLE outtray.history_9 PARTITION OF outtray.history FOR VALUES IN (9);
CREATE TABLE outtray.history_10 PARTITION OF outtray.history FOR VALUES IN (10);
CREATE TABLE outtray.history_11 PARTITION OF outtray.history FOR VALUES IN (11);
CREATE TABLE outtray.history_12 PARTITION OF outtray.history FOR VALUES IN (12);
CREATE TABLE outtray.history_13 PARTITION OF outtray.history FOR VALUES IN (13);
CREATE TABLE outtray.history_14 PARTITION OF outtray.history FOR VALUES IN (14);
CREATE TABLE outtray.history_15 PARTITION OF outtray.history FOR VALUES IN (15);
CREATE TABLE outtray.history_16 PARTITION OF outtray.history FOR VALUES IN (16);
CREATE TABLE outtray.history_17 PARTITION OF outtray.history FOR VALUES IN (17);
CREATE TABLE outtray.history_18 PARTITION OF outtray.history FOR VALUES IN (18);
CREATE TABLE outtray.history_19 PARTITION OF outtray.history FOR VALUES IN (19);
CREATE TABLE outtray.history_20 PARTITION OF outtray.history FOR VALUES IN (20);
CREATE TABLE outtray.history_21 PARTITION OF outtray.history FOR VALUES IN (21);
CREATE TABLE outtray.history_22 PARTITION OF outtray.history FOR VALUES IN (22);
CREATE TABLE outtray.history_23 PARTITION OF outtray.history FOR VALUES IN (23);
CREATE TABLE outtray.history_24 PARTITION OF outtray.history FOR VALUES IN (24);
CREATE TABLE outtray.history_25 PARTITION OF outtray.history FOR VALUES IN (25);
CREATE TABLE outtray.history_26 PARTITION OF outtray.history FOR VALUES IN (26);
CREATE TABLE outtray.history_27 PARTITION OF outtray.history FOR VALUES IN (27);
CREATE TABLE outtray.history_28 PARTITION OF outtray.history FOR VALUES IN (28);
CREATE TABLE outtray.history_29 PARTITION OF outtray.history FOR VALUES IN (29);
CREATE TABLE outtray.history_30 PARTITION OF outtray.history FOR VALUES IN (30);
CREATE TABLE outtray.history_31 PARTITION OF outtray.history FOR VALUES IN (31);

-- Empties the partition that tomorrow needs, of which all is over; fails where somebody reads from
-- it. Returns whether there was anything. With the owner's rights, since it takes them to do so.
CREATE FUNCTION outtray.history_prune() RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    one text := 'history_' || (floor(extract(epoch FROM clock_timestamp()) / 86400)::bigint + 31) % 32;
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
