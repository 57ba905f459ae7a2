-- Sends a message to a topic, as part of the transaction, and returns its id, or that of the
-- earlier message that has its dedupe key. The payload is JSON (a text, json, jsonb, or any other
-- value, which becomes JSON), or bytes (bytea). docs/SQL.md says what the options mean.
CREATE OR REPLACE FUNCTION outtray.send(
    topic text,
    payload anycompatible,
    headers jsonb DEFAULT NULL,
    key text DEFAULT NULL,
    priority integer DEFAULT 0,
    delay interval DEFAULT NULL,
    due_at timestamptz DEFAULT NULL,
    expires_in interval DEFAULT NULL,
    dedupe_key text DEFAULT NULL,
    dedupe_window interval DEFAULT NULL,
    tracked_for interval DEFAULT NULL,
    wait_for_room interval DEFAULT NULL,
    notify boolean DEFAULT false
) RETURNS uuid
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $body$
DECLARE
    given record := outtray.content_of(payload);
    sent uuid;
BEGIN
    SELECT one.id
    INTO sent
    FROM outtray.send_contents(
        topic, ARRAY[given.content], ARRAY[given.body], headers, ARRAY[key], priority, delay, due_at,
        expires_in, ARRAY[dedupe_key], dedupe_window, tracked_for, wait_for_room, notify
    ) AS one;
    RETURN sent;
END
$body$
