-- Returns a payload as it is stored: JSON as text, or bytes. A text is JSON already, and so is a
-- value of type json or jsonb; bytea stays bytes; every other value is written as JSON.
CREATE OR REPLACE FUNCTION outtray.content_of(
    payload anycompatible, OUT content text, OUT body bytea
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF payload IS NULL THEN
        RETURN;
    END IF;
    CASE pg_typeof(payload)
        WHEN 'bytea'::regtype THEN
            body := payload;
        WHEN 'text'::regtype, 'varchar'::regtype, 'bpchar'::regtype, 'json'::regtype, 'jsonb'::regtype THEN
            content := payload::text;
        ELSE
            content := to_json(payload)::text;
    END CASE;
END
$body$
