-- Stores messages of the topic `mine` that were checked and admitted, in order: `ids`, `keys`, and
-- of each JSON (`contents`) or bytes (`bodies`), and who has to be told of its end (`ends`). The
-- others hold for all: those that wait do so for `delay_us`, or until `at_us` after 1970; a log
-- gets entries. With the statements of the library. Tells other processes of it if it `is_told`.
CREATE OR REPLACE FUNCTION outtray.store_messages(
    mine text, ids uuid[], keys text[], contents text[], bodies bytea[], ends smallint[],
    priority integer, header_text text, delay_us bigint, at_us bigint, expiry_us bigint, kept_ms bigint,
    is_log boolean, is_told boolean
) RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict use_column
DECLARE
    size integer[] := ARRAY[cardinality(ids)];
    topics text[] := array_fill(mine, size);
    ranks smallint[] := array_fill((-priority)::smallint, size);
    expiries bigint[] := array_fill(expiry_us, size);
    texts text[] := array_fill(header_text, size);
    is_ready boolean := CASE
        WHEN at_us IS NULL THEN coalesce(delay_us, 0) = 0
        -- What is past is moved into a log, as what was delayed.
        ELSE NOT is_log AND at_us <= trunc(extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    END;
    delays bigint[];
    times bigint[];
    keeps bigint[];
    members integer[];
    past record;
BEGIN
    IF kept_ms IS NOT NULL THEN
        keeps := array_fill(greatest(kept_ms, 1), size);
        members := array_fill(NULL::integer, size);
        {track: topics, ids, keeps, members};
    END IF;
    IF NOT is_ready THEN
        delays := array_fill(delay_us, size);
        times := array_fill(at_us, size);
        FOR past IN
            {schedule: topics, ranks, ids, keys, expiries, ends, texts, contents, bodies, delays, times}
        LOOP
            -- Past by now, and ready.
        END LOOP;
    ELSIF is_log THEN
        {append: mine, ids, keys, texts, contents, bodies};
    ELSIF array_remove(keys, NULL) <> '{}' THEN
        {lock_lanes: topics, keys};
        -- In a statement of its own, which sees what was done while the first one waited.
        {send_keyed: topics, ranks, ids, keys, expiries, ends, texts, contents, bodies};
    ELSE
        {send_full: topics, ranks, ids, keys, expiries, ends, texts, contents, bodies};
    END IF;
    IF is_told THEN
        -- The name of the schema names the channel; process "sql" is nobody's own.
        PERFORM pg_notify(
            trim('"' FROM split_part('outtray.message', '.', 1)),
            CASE WHEN is_ready THEN 'sql ready ' || mine ELSE 'sql due' END
        );
    END IF;
END
$body$
