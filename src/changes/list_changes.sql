-- Returns the latest $2 changes on topic $1, or on all where that is NULL, the latest first, before
-- the one with the id $4 at $3 in microseconds since 1970; of all if that is NULL and the id the
-- greatest. Index: change_topic, or change_at.
SELECT
    change.topic, change.id, change.operator, change.address, change.what, change.messages, change.ids, change.details,
    (extract(epoch FROM least(greatest(change.at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS at_us
FROM (
    (
        SELECT
            change.topic, change.id, change.at, change.operator, change.address, change.what, change.messages, change.ids,
            change.details::text AS details
        FROM outtray.change
        WHERE $1::text IS NULL
            AND (change.at, change.id) < (
                coalesce(timestamptz '1970-01-01 00:00:00+00' + $3::bigint::float8 * interval '1 microsecond', 'infinity'),
                $4::uuid
            )
        ORDER BY change.at DESC, change.id DESC
        LIMIT $2::bigint
    )
    UNION ALL
    (
        SELECT
            change.topic, change.id, change.at, change.operator, change.address, change.what, change.messages, change.ids,
            change.details::text
        FROM outtray.change
        WHERE change.topic COLLATE "POSIX" = $1::text
            AND (change.at, change.id) < (
                coalesce(timestamptz '1970-01-01 00:00:00+00' + $3::bigint::float8 * interval '1 microsecond', 'infinity'),
                $4::uuid
            )
        ORDER BY change.at DESC, change.id DESC
        LIMIT $2::bigint
    )
) AS change
ORDER BY change.at DESC, change.id DESC
