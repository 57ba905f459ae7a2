-- Gives the subscriptions the version $1, and keeps others from changing them until the transaction
-- ends.
INSERT INTO outtray.subscription_version (topic, version)
VALUES ('', $1::uuid)
ON CONFLICT (topic) DO UPDATE SET version = excluded.version
