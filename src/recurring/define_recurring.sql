-- Defines the recurring message $2 of topic $1: cron expression $3, time zone $4, what happens to
-- missed runs $5, rank $6, key $7, expiry in microseconds $8, headers $9, and either JSON $10 or
-- bytes $11; next in $12 microseconds since 1970, dedupe key $13. One that is there keeps its next
-- time, unless its times are others now. Returns the next time.
INSERT INTO outtray.recurring
    (topic, name, cron, time_zone, missed, rank, key, expires_us, headers, payload, body, next_at, dedupe_key)
VALUES (
    $1::text, $2::text, $3::text, $4::text, $5::text, $6::smallint, $7::text, $8::bigint,
    $9::text::json, $10::text::json, $11::bytea,
    timestamptz '1970-01-01 00:00:00+00' + $12::bigint::float8 * interval '1 microsecond',
    $13::text
)
ON CONFLICT (topic, name) DO UPDATE
SET cron = excluded.cron,
    time_zone = excluded.time_zone,
    missed = excluded.missed,
    rank = excluded.rank,
    key = excluded.key,
    expires_us = excluded.expires_us,
    headers = excluded.headers,
    payload = excluded.payload,
    body = excluded.body,
    dedupe_key = excluded.dedupe_key,
    next_at = CASE
        WHEN recurring.cron = excluded.cron AND recurring.time_zone = excluded.time_zone THEN recurring.next_at
        ELSE excluded.next_at
    END
RETURNING (
    extract(epoch FROM
        least(greatest(recurring.next_at, '0001-01-01 00:00:00+00'), '9999-12-31 00:00:00+00') - timestamptz '1970-01-01 00:00:00+00'
    ) * 1000000::numeric
)::bigint AS next_us
