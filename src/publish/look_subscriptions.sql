-- Returns the version of the subscriptions, whether this transaction sees the latest, and, unless
-- that is version $1, all of them, else one row without any. Reads the table as a whole then: it is
-- what a process keeps. Index: the primary key of the version.
SELECT
    latest.version::text AS version,
    latest.sees_latest,
    latest.is_changed,
    found.topic,
    found.pattern,
    found.filter
FROM (
    SELECT
        known.version,
        known.version IS DISTINCT FROM $1::uuid AS is_changed,
        current_setting('transaction_isolation') = 'read committed' AS sees_latest
    FROM (
        SELECT (
            SELECT subscription_version.version
            FROM outtray.subscription_version
            WHERE subscription_version.topic = ''
        ) AS version
        OFFSET 0
    ) AS known
) AS latest
-- A fence: joined, the table would be read whatever the version is.
LEFT JOIN LATERAL (
    SELECT subscription.topic, subscription.pattern, subscription.filter
    FROM outtray.subscription
    WHERE latest.is_changed
        -- Not what only holds a topic, and subscribes it to nothing.
        AND (subscription.pattern <> '' OR subscription.grace_us IS NULL)
    OFFSET 0
) AS found ON true
