-- Leases up to `most` ready messages of the topic `the_topic` for `lease_us` microseconds, from its
-- beginning on, and returns them in any order, with the attempts before. As the library does, by
-- the same statement, and without its memory of where to look.
CREATE OR REPLACE FUNCTION outtray.lease_some(the_topic text, most bigint, lease_us bigint)
RETURNS TABLE (
    its_rank smallint, its_seq bigint, its_id uuid, its_receipt uuid, its_attempts integer, its_sent_at timestamptz,
    its_headers json, its_payload json, its_body bytea, its_key text, its_on_end smallint,
    was_expired boolean, was_cancelled boolean
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $body$
#variable_conflict error
DECLARE
    -- The whole index of claims.
    ranks smallint[] := ARRAY[-32768];
    seqs bigint[] := ARRAY[-9223372036854775808];
    untils integer[] := ARRAY[32768];
    -- Between 1 and 9999, counted from 2000: what a calendar holds.
    first_us CONSTANT bigint := -63082281600000000;
    last_us CONSTANT bigint := 252455529600000000;
    a_row record;
BEGIN
    FOR a_row IN
        {lease: the_topic, ranks, seqs, untils, most, lease_us, NULL, NULL, NULL}
    LOOP
        its_rank := a_row.rank;
        its_seq := a_row.seq;
        its_id := a_row.id;
        its_receipt := a_row.receipt;
        its_attempts := greatest(a_row.attempts, 0);
        its_sent_at := timestamptz '2000-01-01 00:00:00+00'
            + least(greatest(('x' || a_row.sent_at)::bit(64)::bigint, first_us), last_us)::float8 * interval '1 microsecond';
        its_headers := a_row.headers;
        its_payload := a_row.payload;
        its_body := a_row.body;
        its_key := a_row.key;
        its_on_end := a_row.on_end;
        was_expired := coalesce(a_row.is_expired, false);
        was_cancelled := coalesce(a_row.is_cancelled, false);
        RETURN NEXT;
    END LOOP;
END
$body$
