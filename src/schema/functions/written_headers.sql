-- Returns the headers of a message to the topic `mine` as they are stored, NULL for none; refuses
-- what no header can be (OT101). As `headers::check` and `written` of the library.
CREATE OR REPLACE FUNCTION outtray.written_headers(mine text, headers jsonb) RETURNS json
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    flaw text;
    header record;
    total bigint := 0;
    written text := '';
BEGIN
    IF headers IS NULL OR headers = '{}' OR headers = 'null' THEN
        RETURN NULL;
    END IF;
    IF jsonb_typeof(headers) <> 'object' THEN
        RAISE EXCEPTION USING
            ERRCODE = 'OT101',
            MESSAGE = format('headers for topic %s are no object of texts', mine);
    END IF;
    FOR header IN
        SELECT
            each.key AS name, headers ->> each.key AS value, jsonb_typeof(each.value) AS kind,
            octet_length(each.key) AS length
        FROM jsonb_each(headers) AS each
        ORDER BY each.key COLLATE "C"
    LOOP
        total := total + header.length + coalesce(octet_length(header.value), 0);
        flaw := coalesce(flaw, CASE
            WHEN header.length NOT BETWEEN 1 AND 128
                THEN format('header name of %s bytes for topic %s, use 1 to 128', header.length, mine)
            WHEN header.name ~ E'[\\u0001-\\u001f\\u007f-\\u009f]'
                THEN format(
                    'header name "%s" for topic %s has the control character %s',
                    outtray.shown(header.name), mine,
                    '''' || outtray.shown(substring(header.name FROM E'[\\u0001-\\u001f\\u007f-\\u009f]')) || ''''
                )
            WHEN header.kind NOT IN ('string', 'null')
                THEN format('header "%s" for topic %s is a %s, use a text', header.name, mine, header.kind)
        END);
        written := written || ',' || to_json(header.name) || ':' || coalesce(to_json(header.value)::text, 'null');
    END LOOP;
    IF flaw IS NULL AND total > 16384 THEN
        flaw := format(
            'headers of %s bytes for topic %s, the limit is 16384: put data into the payload', total, mine
        );
    END IF;
    IF flaw IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'OT101', MESSAGE = flaw;
    END IF;
    RETURN '{' || substr(written, 2) || '}';
END
$body$
