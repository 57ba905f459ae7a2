-- Sends a message unless the topic remembers its dedupe key, and says whether it was one of those:
-- as `send`, with the dedupe key as an argument that has to be there.
CREATE OR REPLACE FUNCTION outtray.send_once(
    topic text,
    payload anycompatible,
    dedupe_key text,
    dedupe_window interval DEFAULT NULL,
    headers jsonb DEFAULT NULL,
    key text DEFAULT NULL,
    priority integer DEFAULT 0,
    delay interval DEFAULT NULL,
    due_at timestamptz DEFAULT NULL,
    expires_in interval DEFAULT NULL,
    tracked_for interval DEFAULT NULL,
    wait_for_room interval DEFAULT NULL,
    notify boolean DEFAULT false,
    OUT id uuid,
    OUT is_duplicate boolean
)
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $body$
DECLARE
    given record := outtray.content_of(payload);
BEGIN
    SELECT one.id, one.is_duplicate
    INTO send_once.id, send_once.is_duplicate
    FROM outtray.send_contents(
        topic, ARRAY[given.content], ARRAY[given.body], headers, ARRAY[key], priority, delay, due_at,
        expires_in, ARRAY[coalesce(dedupe_key, '')], dedupe_window, tracked_for, wait_for_room, notify
    ) AS one;
END
$body$
