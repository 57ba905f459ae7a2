-- Logs: topics that keep their messages for many readers, each of whom has a place of its own.

-- Numbers entries in the order of sending: with CACHE 1, who asks later has a larger number.
CREATE SEQUENCE outtray.log_seq AS bigint CACHE 1;
CREATE SEQUENCE outtray.log_segment_seq AS bigint;

-- The topics that are logs. Its row is locked by whoever makes a tick or changes segments.
CREATE TABLE outtray.log (
    topic text COLLATE "C" NOT NULL,
    -- Where entries are written now.
    segment bigint NOT NULL,
    -- The first tick of which all entries are still there.
    begins bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (topic)
);

-- What a log is kept in: each segment is a table, which is emptied as a whole.
CREATE TABLE outtray.log_segment (
    topic text COLLATE "C" NOT NULL,
    segment bigint NOT NULL DEFAULT nextval('outtray.log_segment_seq'::regclass),
    -- When entries began to be written into it; NULL: it is empty, to be used again.
    opened_at timestamptz,
    -- No entry of it is in a later tick. NULL: more may be written.
    last_tick bigint,
    PRIMARY KEY (topic, segment)
);

-- PostgreSQL refuses to make a partitioned table where `default_tablespace` names the tablespace of
-- the database, although such a table has no storage. So the setting is empty for this table and
-- its indexes, and as before afterwards; partitions are made where it says.
SELECT set_config('log.tablespace', current_setting('default_tablespace'), true);
SET LOCAL default_tablespace = '';

-- Entries are inserted, and never changed. Each segment is a partition, whose number is ours: a
-- statement says which segments it means, and only those are planned.
CREATE TABLE outtray.log_entry (
    topic text COLLATE "C" NOT NULL,
    segment bigint NOT NULL,
    -- The transaction that wrote it. It stands before `seq`, so that a transaction has its number
    -- before it asks for one of these.
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    seq bigint NOT NULL DEFAULT nextval('outtray.log_seq'::regclass),
    id uuid NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    key text COLLATE "C",
    headers json,
    payload json,
    body bytea,
    CONSTRAINT one_content CHECK ((payload IS NULL) <> (body IS NULL))
) PARTITION BY LIST (segment);

-- Finds what single transactions wrote.
CREATE INDEX log_entry_tx ON outtray.log_entry (tx, seq);
-- Finds what was written in a time. On an expression, so that no statement that looks for
-- transactions is planned with this index.
CREATE INDEX log_entry_seq ON outtray.log_entry ((seq + 0));

SELECT set_config('default_tablespace', current_setting('log.tablespace'), true);

-- Returns by what servers differ; 0 where nobody may know. With the owner's rights: all are to get
-- the same answer.
CREATE FUNCTION outtray.log_server() RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') THEN
        RETURN (SELECT control.system_identifier FROM pg_control_system() AS control);
    END IF;
    RETURN 0;
END
$$;

-- The order of entries: a tick is a snapshot, and an entry is of the first tick that sees it.
CREATE TABLE outtray.log_tick (
    topic text COLLATE "C" NOT NULL,
    tick bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    snapshot pg_snapshot NOT NULL,
    -- Transactions from this one on write entries with larger numbers than `low`: it is the tick's
    -- own, which began after that was read. Those that the snapshot does not know either may have
    -- begun before.
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
    low bigint NOT NULL,
    -- No entry of this tick has a larger number.
    high bigint NOT NULL,
    -- Entries with numbers up to this one are of an era before, whatever their transactions are.
    floor bigint NOT NULL DEFAULT 0,
    -- By which server it was made.
    server bigint NOT NULL DEFAULT outtray.log_server(),
    -- Where its entries are.
    segments bigint[] NOT NULL,
    PRIMARY KEY (topic, tick)
);

-- Named readers. With several lanes, each reads the entries of its keys.
CREATE TABLE outtray.log_reader (
    topic text COLLATE "C" NOT NULL,
    reader text COLLATE "C" NOT NULL,
    lanes bigint NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, reader)
);

-- Lanes of readers. Who reads for one holds the lock of its row, which never changes.
CREATE TABLE outtray.log_lane (
    topic text COLLATE "C" NOT NULL,
    reader text COLLATE "C" NOT NULL,
    lane bigint NOT NULL,
    PRIMARY KEY (topic, reader, lane)
);

-- Where lanes are: the row with the largest `moved` counts. A move inserts a row and deletes the
-- one before: rows that are dead, and cannot be removed while some transaction is held, are passed
-- by.
CREATE TABLE outtray.log_place (
    topic text COLLATE "C" NOT NULL,
    reader text COLLATE "C" NOT NULL,
    lane bigint NOT NULL,
    moved bigint NOT NULL,
    -- All up to this is read.
    tick bigint NOT NULL,
    seq bigint NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT now(),
    -- Who has the entries after it in hand (a receiver, by its row in `worker`; NULL: nobody), how
    -- many at most, whether it is one, alone, and how many processes died with that in hand before.
    holder bigint,
    in_hand bigint NOT NULL DEFAULT 0,
    is_alone boolean NOT NULL DEFAULT false,
    deaths bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, reader, lane, moved)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0,
    vacuum_truncate = false
);

-- Returns whether the last tick of the log `mine` does not see all that is committed. Also where it
-- took long to say so, since somebody writes much in an open transaction: after another tick the
-- next look begins behind that.
CREATE FUNCTION outtray.log_has_news(mine text) RETURNS boolean
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
    began timestamptz := clock_timestamp();
    last record;
    next xid8;
    open_segment bigint;
    done xid8[];
    is_new boolean := false;
BEGIN
    SELECT
        log_tick.tick, log_tick.snapshot, log_tick.tx, log_tick.low, log_tick.floor,
        log_tick.xmin::text::numeric < log_tick.tx::text::numeric % 4294967296 AS is_copied
    INTO last
    FROM outtray.log_tick
    WHERE log_tick.topic = mine
    ORDER BY log_tick.tick DESC
    LIMIT 1;
    next := pg_snapshot_xmax(last.snapshot);
    -- An era is to begin: see `log_begin_era`.
    IF last.is_copied OR next > pg_snapshot_xmax(pg_current_snapshot()) THEN
        RETURN true;
    END IF;
    IF next < last.tx THEN
        next := last.tx;
    END IF;
    -- Those who were at work when it was made, and are not any more.
    SELECT array_agg(running.tx) INTO done
    FROM (
        SELECT known.tx FROM pg_snapshot_xip(last.snapshot) AS known (tx)
        UNION ALL
        SELECT unknown.tx::text::xid8
        FROM generate_series(
            pg_snapshot_xmax(last.snapshot)::text::numeric, next::text::numeric - 1
        ) AS unknown (tx)
    ) AS running
    WHERE pg_visible_in_snapshot(running.tx, pg_current_snapshot());
    FOR open_segment IN
        SELECT log_segment.segment
        FROM outtray.log_segment
        WHERE log_segment.topic = mine
            AND log_segment.opened_at IS NOT NULL
            AND (log_segment.last_tick IS NULL OR log_segment.last_tick > last.tick)
        ORDER BY log_segment.segment DESC
    LOOP
        -- Planned each time, for the one segment.
        EXECUTE 'SELECT EXISTS (
            SELECT FROM outtray.log_entry
            WHERE log_entry.segment = $1
                AND (log_entry.seq + 0) > $2
                AND (log_entry.tx >= $3) IS TRUE
        ) OR EXISTS (
            SELECT FROM outtray.log_entry
            WHERE log_entry.segment = $1
                AND log_entry.tx = ANY ($4)
                AND log_entry.seq > $5
        )' INTO is_new USING open_segment, last.low, next, done, last.floor;
        EXIT WHEN is_new;
    END LOOP;
    RETURN is_new OR clock_timestamp() - began > interval '50 ms';
END
$$;

-- Begins an era of the log `mine` if its last tick was made by another server, as after a restore
-- from a dump: transaction ids start anew there, and are no order together with those before.
-- Returns whether the era is one of this server now; not while somebody's transaction is open that
-- wrote into a log here.
--
-- All that is stored counts as committed, and comes before. The last tick sees nothing with a
-- number beyond its `high`, and nothing here has one up to it. So two ticks end the era before: the
-- first sees all up to that number that the last one did not, by the transactions of then; the
-- second one all beyond it, whatever its transaction is. That one begins the era, at a number of
-- its own, which nothing has that is committed later. Nobody writes meanwhile.
CREATE FUNCTION outtray.log_begin_era(mine text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $$
DECLARE
    last record;
    begins bigint;
    open_segments bigint[];
BEGIN
    PERFORM FROM outtray.log WHERE log.topic = mine FOR UPDATE;
    SELECT
        log_tick.tick, log_tick.high, log_tick.floor,
        -- The row was written before the transaction that it names, or on another server.
        log_tick.xmin::text::numeric < log_tick.tx::text::numeric % 4294967296
            OR log_tick.server <> outtray.log_server()
            OR pg_snapshot_xmax(log_tick.snapshot) > pg_snapshot_xmax(pg_current_snapshot()) AS is_copied
    INTO last
    FROM outtray.log_tick
    WHERE log_tick.topic = mine
    ORDER BY log_tick.tick DESC
    LIMIT 1;
    IF last.is_copied IS NOT TRUE THEN
        RETURN true;
    END IF;
    IF coalesce(pg_sequence_last_value('outtray.log_seq'::regclass), 0) < last.high THEN
        RAISE EXCEPTION 'the sequence log_seq is behind the entries of logs' USING ERRCODE = 'OT003';
    END IF;
    BEGIN
        LOCK TABLE ONLY outtray.log_entry IN SHARE MODE;
    EXCEPTION WHEN lock_not_available THEN
        RETURN false;
    END;
    begins := nextval('outtray.log_seq'::regclass);
    open_segments := ARRAY(
        SELECT log_segment.segment
        FROM outtray.log_segment
        WHERE log_segment.topic = mine
            AND log_segment.opened_at IS NOT NULL
            AND (log_segment.last_tick IS NULL OR log_segment.last_tick > last.tick)
    );
    INSERT INTO outtray.log_tick (topic, tick, snapshot, low, high, floor, segments)
    VALUES
        (
            mine, last.tick + 1, '9223372036854775807:9223372036854775807:', last.high, last.high,
            last.floor, open_segments
        ),
        (mine, last.tick + 2, pg_current_snapshot(), begins, begins - 1, begins, open_segments);
    -- One that was sealed, and was to have its last entries in the next tick, has them in the
    -- second.
    UPDATE outtray.log_segment
    SET last_tick = last.tick + 2
    WHERE log_segment.topic = mine
        AND log_segment.last_tick > last.tick;
    RETURN true;
END
$$;

-- Makes a tick of the log `mine` if something was committed that the last one does not see, or if
-- it `is_forced`. Returns the newest tick, which sees all that was committed before the call, and
-- whether messages lie among those of queues that belong here; NULL if there is no such log.
-- PL/pgSQL, since each of its statements has to see what those before it waited for. Its
-- transaction must be short: others wait for it. Of two ticks the later one sees all that the
-- earlier one sees: it is numbered after one that was committed before its own snapshot was taken.
CREATE FUNCTION outtray.log_make_tick(
    mine text, is_forced boolean, OUT newest bigint, OUT has_strays boolean
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
    known bigint;
    lowest bigint;
    last_low bigint;
    era_floor bigint;
    is_copied boolean;
BEGIN
    -- Before this transaction has a number. Not read as a table: each 32nd time, while nextval logs
    -- what it does, the row holds a value that is still to come, and whoever reads rows can see it.
    -- Entries between the two would be missed.
    lowest := coalesce(pg_sequence_last_value('outtray.log_seq'::regclass), 0);
    SELECT EXISTS (SELECT FROM outtray.message WHERE message.topic = mine) INTO has_strays;
    SELECT log_tick.tick, log_tick.low INTO newest, last_low
    FROM outtray.log_tick WHERE log_tick.topic = mine
    ORDER BY log_tick.tick DESC LIMIT 1;
    IF newest IS NULL OR NOT is_forced AND NOT outtray.log_has_news(mine) THEN
        RETURN;
    END IF;
    -- Looked at again, since somebody may have made a tick in between.
    IF lowest < last_low AND coalesce(pg_sequence_last_value('outtray.log_seq'::regclass), 0) < last_low THEN
        RAISE EXCEPTION 'the sequence log_seq is behind the entries of logs' USING ERRCODE = 'OT003';
    END IF;
    known := newest;
    PERFORM FROM outtray.log WHERE log.topic = mine FOR UPDATE;
    SELECT log_tick.tick, log_tick.floor,
        log_tick.xmin::text::numeric < log_tick.tx::text::numeric % 4294967296
            OR log_tick.server <> outtray.log_server()
            OR pg_snapshot_xmax(log_tick.snapshot) > pg_snapshot_xmax(pg_current_snapshot())
    INTO newest, era_floor, is_copied
    FROM outtray.log_tick WHERE log_tick.topic = mine
    ORDER BY log_tick.tick DESC LIMIT 1;
    IF is_copied THEN
        IF NOT outtray.log_begin_era(mine) THEN
            IF is_forced THEN
                RAISE EXCEPTION 'a transaction is open that wrote into a log since it was restored'
                    USING ERRCODE = '55P03';
            END IF;
            RETURN;
        END IF;
        SELECT log_tick.tick, log_tick.floor INTO newest, era_floor
        FROM outtray.log_tick WHERE log_tick.topic = mine
        ORDER BY log_tick.tick DESC LIMIT 1;
    END IF;
    -- Where somebody else made one meanwhile, it may see all, or not.
    IF newest IS NULL OR newest > known AND NOT is_forced AND NOT outtray.log_has_news(mine) THEN
        RETURN;
    END IF;
    INSERT INTO outtray.log_tick (topic, tick, snapshot, low, high, floor, segments)
    SELECT
        mine, newest + 1, pg_current_snapshot(), greatest(lowest, era_floor),
        coalesce(pg_sequence_last_value('outtray.log_seq'::regclass), 0), era_floor,
        ARRAY(
            SELECT log_segment.segment
            FROM outtray.log_segment
            WHERE log_segment.topic = mine
                AND log_segment.opened_at IS NOT NULL
                AND (log_segment.last_tick IS NULL OR log_segment.last_tick > newest)
        )
    -- There is one only where a transaction's snapshot is older than the lock: the server then
    -- says that it is to be tried again.
    ON CONFLICT DO NOTHING;
    newest := newest + 1;
END
$$;

-- Moves up to `most` messages of the topic `mine` that lie among those of queues into its log, in
-- their order: a sender did not know yet that it is one, or they waited for their time. Returns how
-- many. Index: the primary key of message, in its order, whatever the statistics say.
CREATE FUNCTION outtray.log_move_strays(mine text, most bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_sort = off
AS $$
DECLARE
    how_many bigint;
BEGIN
    WITH strays AS MATERIALIZED (
        SELECT message.topic, message.rank, message.seq
        FROM outtray.message
        WHERE message.topic = mine
        ORDER BY message.rank, message.seq
        LIMIT most
        FOR UPDATE SKIP LOCKED
    ),
    taken AS (
        DELETE FROM outtray.message
        USING strays
        WHERE message.topic = ANY (ARRAY[strays.topic])
            AND message.rank = strays.rank
            AND message.seq = strays.seq
        RETURNING
            message.rank, message.seq, message.id, message.sent_at, message.key, message.headers,
            message.payload, message.body
    ),
    moved AS (
        INSERT INTO outtray.log_entry (topic, segment, id, sent_at, key, headers, payload, body)
        SELECT
            mine, (SELECT log.segment FROM outtray.log WHERE log.topic = mine), taken.id,
            taken.sent_at, taken.key, taken.headers, taken.payload, taken.body
        FROM taken
        ORDER BY taken.rank, taken.seq
        RETURNING log_entry.id
    )
    SELECT count(moved.id) INTO how_many FROM moved;
    RETURN how_many;
END
$$;

-- Has entries of the log `mine` written into another segment than `instead_of`, if they are written
-- into that: into one that was emptied, or a new one. Makes the log where `instead_of` is NULL.
-- Returns the segment. The owner of the tables runs it, so that a role that may only read and write
-- can have it done.
CREATE FUNCTION outtray.log_open_segment(mine text, instead_of bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    opened bigint;
    current bigint;
BEGIN
    SELECT log.segment INTO current FROM outtray.log WHERE log.topic = mine FOR UPDATE;
    IF current <> instead_of OR (current IS NULL) <> (instead_of IS NULL) THEN
        RETURN current;
    END IF;
    UPDATE outtray.log_segment
    SET opened_at = statement_timestamp()
    WHERE log_segment.topic = mine
        AND log_segment.segment = (
            SELECT spare.segment
            FROM outtray.log_segment AS spare
            WHERE spare.topic = mine
                AND spare.opened_at IS NULL
            ORDER BY spare.segment
            LIMIT 1
        )
    RETURNING log_segment.segment INTO opened;
    IF opened IS NULL THEN
        INSERT INTO outtray.log_segment (topic, opened_at)
        VALUES (mine, clock_timestamp())
        RETURNING log_segment.segment INTO opened;
        EXECUTE format(
            'CREATE TABLE outtray.%I (LIKE outtray.log_entry INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)',
            'log_' || opened
        );
        -- Attached, and not made as a part at once, which would wait for all who write.
        EXECUTE format(
            'ALTER TABLE outtray.log_entry ATTACH PARTITION outtray.%I FOR VALUES IN (%s)',
            'log_' || opened, opened
        );
    END IF;
    IF current IS NOT NULL THEN
        UPDATE outtray.log SET segment = opened WHERE log.topic = mine;
        RETURN opened;
    END IF;
    INSERT INTO outtray.log (topic, segment) VALUES (mine, opened);
    -- Nobody knows yet that there is something to write to.
    INSERT INTO outtray.log_tick (topic, tick, snapshot, low, high, segments)
    SELECT mine, 0, pg_current_snapshot(), last.seq, last.seq, '{}'
    FROM (
        SELECT coalesce(pg_sequence_last_value('outtray.log_seq'::regclass), 0) AS seq
    ) AS last;
    RETURN opened;
END
$$;

-- Lets no more be written into the segment `one` of the log `mine`, which is not the one that is
-- written into now; fails where somebody writes into it, or reads from it, since waiting would keep
-- others waiting. Nothing of it is in a tick after the next.
CREATE FUNCTION outtray.log_seal_segment(mine text, one bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    its_last bigint;
BEGIN
    PERFORM FROM outtray.log WHERE log.topic = mine AND log.segment <> one FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM FROM outtray.log_segment
    WHERE log_segment.topic = mine
        AND log_segment.segment = one
        AND log_segment.opened_at IS NOT NULL
        AND log_segment.last_tick IS NULL;
    IF NOT FOUND OR NOT outtray.log_begin_era(mine) THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE outtray.%I IN ACCESS EXCLUSIVE MODE NOWAIT', 'log_' || one);
    -- Who saw another segment, in a snapshot from before, is refused from now on.
    EXECUTE format('ALTER TABLE outtray.%I ADD CONSTRAINT sealed CHECK (false) NOT VALID', 'log_' || one);
    its_last := CASE WHEN outtray.log_has_news(mine) THEN 1 ELSE 0 END + (
        SELECT log_tick.tick
        FROM outtray.log_tick
        WHERE log_tick.topic = mine
        ORDER BY log_tick.tick DESC
        LIMIT 1
    );
    UPDATE outtray.log_segment
    SET last_tick = its_last
    WHERE log_segment.topic = mine
        AND log_segment.segment = one;
    RETURN true;
END
$$;

-- Empties the segment `one` of the log `mine`, all of which lies before where the log begins, for
-- another use; fails where somebody reads from it.
CREATE FUNCTION outtray.log_empty_segment(mine text, one bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM outtray.log WHERE log.topic = mine FOR UPDATE;
    PERFORM FROM outtray.log_segment
    JOIN outtray.log ON log.topic = log_segment.topic
    WHERE log_segment.topic = mine
        AND log_segment.segment = one
        AND log_segment.last_tick < log.begins;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    EXECUTE format('LOCK TABLE outtray.%I IN ACCESS EXCLUSIVE MODE NOWAIT', 'log_' || one);
    EXECUTE format('TRUNCATE TABLE outtray.%I', 'log_' || one);
    EXECUTE format('ALTER TABLE outtray.%I DROP CONSTRAINT sealed', 'log_' || one);
    UPDATE outtray.log_segment
    SET opened_at = NULL, last_tick = NULL
    WHERE log_segment.topic = mine
        AND log_segment.segment = one;
    RETURN true;
END
$$;

-- Ends the log `mine`, and drops its segments, unless one holds an entry; returns whether it did.
-- Entries that others write at this moment are waited for, as long as locks are.
CREATE FUNCTION outtray.log_end(mine text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    one bigint;
    is_used boolean;
BEGIN
    PERFORM FROM outtray.log WHERE log.topic = mine FOR UPDATE;
    FOR one IN SELECT log_segment.segment FROM outtray.log_segment WHERE log_segment.topic = mine LOOP
        EXECUTE format('LOCK TABLE outtray.%I IN ACCESS EXCLUSIVE MODE', 'log_' || one);
        EXECUTE format('SELECT EXISTS (SELECT FROM outtray.%I)', 'log_' || one) INTO is_used;
        IF is_used THEN
            RETURN false;
        END IF;
        EXECUTE format('DROP TABLE outtray.%I', 'log_' || one);
    END LOOP;
    DELETE FROM outtray.log_segment WHERE log_segment.topic = mine;
    DELETE FROM outtray.log_tick WHERE log_tick.topic = mine;
    DELETE FROM outtray.log WHERE log.topic = mine;
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION
    outtray.log_open_segment(text, bigint), outtray.log_seal_segment(text, bigint),
    outtray.log_empty_segment(text, bigint), outtray.log_end(text)
FROM PUBLIC;
-- Everybody who reads calls these, whatever the default privileges of the database are.
GRANT EXECUTE ON FUNCTION
    outtray.log_has_news(text), outtray.log_make_tick(text, boolean),
    outtray.log_move_strays(text, bigint), outtray.log_server(), outtray.log_begin_era(text)
TO PUBLIC;
