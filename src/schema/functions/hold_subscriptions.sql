-- Fails with 40001 if subscriptions changed since this transaction began, which sees those of then,
-- and keeps them from changing until it ends. For publishers above READ COMMITTED: who subscribed
-- before the call gets a copy at every isolation level.
CREATE OR REPLACE FUNCTION outtray.hold_subscriptions() RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    PERFORM FROM outtray.subscription_version WHERE subscription_version.topic = '' FOR SHARE;
    IF NOT FOUND THEN
        -- Nobody had ever subscribed; who did meanwhile is met here.
        INSERT INTO outtray.subscription_version (topic, version)
        VALUES ('', gen_random_uuid())
        ON CONFLICT (topic) DO NOTHING;
    END IF;
END
$body$
