//! Statements that break a rule each. Those with a name are what was once called so.

use super::rules::Rule;

pub(super) const PLANTED: [(Rule, &str); 50] = [
    // acknowledge
    (
        Rule::Place,
        "DELETE FROM outtray.message WHERE message.ctid = ANY (ARRAY(
            SELECT found.place FROM unnest($2::smallint[], $3::bigint[]) AS handled (rank, seq)
            CROSS JOIN LATERAL (
                SELECT message.ctid AS place FROM outtray.message
                WHERE message.topic = $1::text AND message.rank = handled.rank AND message.seq = handled.seq
                OFFSET 0
            ) AS found
        ))",
    ),
    (
        Rule::WholeKey,
        "DELETE FROM outtray.message WHERE message.ctid = ANY (ARRAY(SELECT message.ctid FROM outtray.message))",
    ),
    // ask_leased
    (
        Rule::Recursion,
        "WITH RECURSIVE known AS (
            (SELECT scheduled.topic FROM outtray.scheduled ORDER BY scheduled.topic LIMIT 1)
            UNION ALL SELECT (
                SELECT scheduled.topic FROM outtray.scheduled WHERE scheduled.topic > known.topic
                ORDER BY scheduled.topic LIMIT 1
            ) FROM known WHERE known.topic IS NOT NULL
        ),
        asked AS (
            UPDATE outtray.scheduled SET is_cancelled = true FROM known
            WHERE scheduled.topic = known.topic AND scheduled.id = $1::uuid
        )
        SELECT known.topic FROM known",
    ),
    (
        Rule::Place,
        "UPDATE outtray.scheduled SET is_cancelled = true
        WHERE scheduled.ctid = ANY (ARRAY(SELECT scheduled.ctid FROM outtray.scheduled FOR UPDATE SKIP LOCKED))",
    ),
    // ask_rest
    (
        Rule::Recursion,
        "WITH RECURSIVE known AS (SELECT 'a' AS topic UNION ALL SELECT known.topic FROM known WHERE false)
        INSERT INTO outtray.cancellation (topic, id)
        SELECT scheduled.topic, scheduled.id FROM known
        JOIN outtray.scheduled ON scheduled.topic = known.topic AND scheduled.id = ANY ($1::uuid[])
        ON CONFLICT (topic, id) DO UPDATE SET asked_at = excluded.asked_at RETURNING cancellation.id",
    ),
    // begin_attempt
    (
        Rule::OnConflict,
        "INSERT INTO outtray.attempt (topic, id, attempts) VALUES ($1::text, $2::uuid, 1)
        ON CONFLICT (topic, id) DO UPDATE SET attempts = attempt.attempts + 1, begun_at = now()",
    ),
    // define_recurring
    (
        Rule::Returning,
        "UPDATE outtray.recurring SET cron = $1::text WHERE recurring.topic = 'a'
        RETURNING (extract(epoch FROM least(greatest(recurring.next_at, '0001-01-01 00:00:00+00'),
            '9999-12-31 00:00:00+00')) * 1000000::numeric)::bigint AS next_us",
    ),
    // drop_liveness, find_vanished, hold_liveness
    (Rule::Narrow, "SELECT pg_advisory_unlock($1::integer, $2::bigint::integer)"),
    (
        Rule::Narrow,
        "SELECT worker.topic FROM outtray.worker
        WHERE pg_try_advisory_xact_lock_shared($1::integer, (worker.id % 2147483647)::integer)",
    ),
    (
        Rule::Narrow,
        "SELECT mine.id FROM unnest($2::bigint[]) AS mine (id) WHERE pg_try_advisory_lock($1::integer, 7)",
    ),
    // What found the receivers that vanished, who died with messages in hand, who had a lane of a
    // log, and who lives.
    (
        Rule::LockBesideTable,
        "SELECT worker.topic, worker.id FROM outtray.worker
        WHERE CASE
            WHEN worker.holds_lock THEN pg_try_advisory_xact_lock_shared($1::bigint # worker.id)
            ELSE worker.seen_at < now() - interval '30 seconds'
        END",
    ),
    (
        Rule::LockBesideTable,
        "WITH holders AS MATERIALIZED (
            SELECT hand.holder, coalesce((
                SELECT pg_try_advisory_xact_lock_shared($2::bigint # worker.id) FROM outtray.worker
                WHERE worker.topic = $1::text AND worker.id = hand.holder
            ), true) AS is_dead
            FROM outtray.hand WHERE hand.topic = $1::text
        ) SELECT holders.holder FROM holders WHERE holders.is_dead",
    ),
    (
        Rule::LockBesideTable,
        "SELECT mine.id FROM unnest($2::bigint[]) AS mine (id)
        WHERE pg_try_advisory_xact_lock_shared($1::bigint # mine.id)
            AND EXISTS (SELECT FROM outtray.worker WHERE worker.id = mine.id)",
    ),
    (
        Rule::LockBesideTable,
        "INSERT INTO outtray.lane (topic, key) SELECT $1::text, 'a' WHERE pg_try_advisory_lock($2::bigint)",
    ),
    // expire_followers
    (
        Rule::Volatile,
        "DELETE FROM outtray.follower USING unnest($1::text[], $2::text[]) AS held (topic, key)
        WHERE follower.topic = held.topic AND follower.key = held.key AND follower.seq > 0
            AND follower.expires_at <= clock_timestamp()",
    ),
    (
        Rule::Volatile,
        "DELETE FROM outtray.follower
        WHERE follower.topic = $1::text AND follower.key = $2::text AND follower.seq > 0
            AND follower.expires_at <= (SELECT clock_timestamp())",
    ),
    // find_stalled
    (
        Rule::Recursion,
        "WITH RECURSIVE waiting AS (
            (SELECT follower.topic, follower.key FROM outtray.follower ORDER BY follower.topic, follower.key LIMIT 1)
            UNION ALL SELECT next.topic, next.key FROM waiting CROSS JOIN LATERAL (
                SELECT follower.topic, follower.key FROM outtray.follower
                WHERE (follower.topic, follower.key) > (waiting.topic, waiting.key)
                ORDER BY follower.topic, follower.key LIMIT 1
            ) AS next
        ),
        stuck AS (
            INSERT INTO outtray.stalled (topic, key, said_by)
            SELECT waiting.topic, waiting.key, $1::uuid FROM waiting RETURNING stalled.key
        )
        SELECT count(*) FROM stuck",
    ),
    // lease
    (
        Rule::Returning,
        "DELETE FROM outtray.message WHERE message.topic = $1::text AND message.rank = 0 AND message.seq = 1
        RETURNING message.id, gen_random_uuid() AS receipt",
    ),
    // lock_expired_lanes
    (
        Rule::Place,
        "UPDATE outtray.lane SET turns = lane.turns + 1
        WHERE lane.ctid = ANY (ARRAY(SELECT lane.ctid FROM outtray.lane FOR UPDATE SKIP LOCKED))
        RETURNING lane.topic, lane.key",
    ),
    // reschedule
    (
        Rule::Lazy,
        "UPDATE outtray.recurring
        SET last_at = coalesce(
            timestamptz '1970-01-01 00:00:00+00' + $3::bigint::float8 * interval '1 microsecond', recurring.last_at
        )
        WHERE recurring.topic = $1::text AND recurring.name = $2::text",
    ),
    // resume
    (
        Rule::Volatile,
        "UPDATE outtray.topic SET paused_at = NULL, changed_at = clock_timestamp() WHERE topic.topic = $1::text",
    ),
    // retry
    (
        Rule::Place,
        "WITH failed AS MATERIALIZED (
            SELECT found.place FROM unnest($2::smallint[], $3::bigint[]) AS failed (rank, seq)
            CROSS JOIN LATERAL (
                SELECT message.ctid AS place FROM outtray.message
                WHERE message.topic = $1::text AND message.rank = failed.rank AND message.seq = failed.seq
                OFFSET 0
            ) AS found
        )
        DELETE FROM outtray.message USING failed
        WHERE message.ctid = failed.place AND (message.topic = $1::text) IS TRUE",
    ),
    // return_tokens
    (
        Rule::OnConflict,
        "INSERT INTO outtray.bucket (topic, key, full_at, granted)
        SELECT $1::text, unspent.key, now(), unspent.tokens
        FROM unnest($2::text[], $3::bigint[]) AS unspent (key, tokens)
        ON CONFLICT (topic, key) DO UPDATE
        SET full_at = bucket.full_at - floor(excluded.granted::float8 * 2::float8) * interval '1 microsecond'",
    ),
    // show_life
    (
        Rule::OnConflict,
        "INSERT INTO outtray.worker (topic, id, process, holds_lock) VALUES ($1::text, 1, 'p', false)
        ON CONFLICT (topic, id) DO UPDATE SET seen_at = now()",
    ),
    // take_dedupe, take_dedupe_one
    (
        Rule::OnConflict,
        "INSERT INTO outtray.dedupe (topic, key, id, expires_at) VALUES ($1::text, $2::text, $3::uuid, now())
        ON CONFLICT (topic, key) DO UPDATE SET id = excluded.id WHERE dedupe.expires_at <= statement_timestamp()",
    ),
    // take_tokens
    (
        Rule::OnConflict,
        "INSERT INTO outtray.bucket (topic, key, granted, full_at) VALUES ($1::text, '', 1, now())
        ON CONFLICT (topic, key) DO UPDATE SET (granted, full_at) = (SELECT excluded.granted, now())",
    ),
    (
        Rule::ParameterInSubselect,
        "INSERT INTO outtray.bucket (topic, key, granted, full_at) VALUES ($1::text, '', 1, now())
        ON CONFLICT (topic, key) DO UPDATE SET (granted, full_at) = (SELECT least($2::bigint, 1), excluded.full_at)",
    ),
    (
        Rule::Returning,
        "INSERT INTO outtray.bucket (topic, key, granted, full_at) VALUES ($1::text, '', 1, now())
        RETURNING extract(epoch FROM greatest(full_at, now()) - now())::float8",
    ),
    // The same by other words.
    (
        Rule::OnConflict,
        "INSERT INTO outtray.turn (topic) VALUES ($1::text)
        ON CONFLICT (topic) DO UPDATE SET topic = turn.topic WHERE CURRENT_TIMESTAMP > '2020-01-01 00:00:00+00'",
    ),
    (
        Rule::OnConflict,
        "INSERT INTO outtray.topic (topic) VALUES ($1::text)
        ON CONFLICT (topic) DO UPDATE SET changed_at = excluded.changed_at + interval '1 day'",
    ),
    (
        Rule::OnConflict,
        "INSERT INTO outtray.topic (topic) VALUES ($1::text)
        ON CONFLICT (topic) DO UPDATE SET changed_at = $2::text::timestamptz",
    ),
    (
        Rule::OnConflict,
        "WITH made AS (
            INSERT INTO outtray.bucket (topic, key, granted, full_at) VALUES ($1::text, '', 1, now())
            ON CONFLICT (topic, key) DO UPDATE SET granted = nextval('outtray.message_seq') RETURNING key
        ) SELECT made.key FROM made",
    ),
    (
        Rule::Returning,
        "WITH gone AS (DELETE FROM outtray.lane RETURNING lane.topic, clock_timestamp() AS at) SELECT gone.at FROM gone",
    ),
    (
        Rule::Lazy,
        "UPDATE outtray.scheduled SET due_at = CASE WHEN $1::boolean THEN now() ELSE scheduled.due_at END
        WHERE scheduled.topic = 'a' AND scheduled.id = $2::uuid",
    ),
    (
        Rule::Lazy,
        "DELETE FROM outtray.lane WHERE coalesce(lane.topic = 'a', now() > '2020-01-01 00:00:00+00')",
    ),
    (
        Rule::OfColumn,
        "UPDATE outtray.scheduled SET due_at = scheduled.due_at + interval '1 hour'
        WHERE scheduled.topic = 'a' AND scheduled.id = $1::uuid",
    ),
    (
        Rule::OfColumn,
        "UPDATE outtray.lane SET turns = 1 WHERE lane.topic = to_char(now(), lane.key)",
    ),
    (
        Rule::OfColumn,
        "DELETE FROM outtray.subscription WHERE subscription.expires_at + interval '1 day' < now()",
    ),
    (
        Rule::Volatile,
        "UPDATE outtray.stalled SET said_by = gen_random_uuid() WHERE stalled.topic = $1::text",
    ),
    (
        Rule::BytesAsNumber,
        "SELECT ('x' || encode($1::bytea, 'hex'))::float8",
    ),
    (
        Rule::SubselectAmongValues,
        "INSERT INTO outtray.vacated (topic, messages) VALUES ($1::text, (SELECT count(*) FROM outtray.lane))",
    ),
    (Rule::Commands, "SELECT 1; SELECT 2"),
    (Rule::Narrow, "SELECT log_tick.tick::integer FROM outtray.log_tick"),
    (Rule::Narrow, "SELECT pg_advisory_xact_lock(1, 2)"),
    (
        Rule::WholeKey,
        "DELETE FROM outtray.message WHERE message.topic = $1::text AND message.seq = ANY ($2::bigint[])",
    ),
    (
        Rule::WholeKey,
        "UPDATE outtray.scheduled SET receipt = NULL WHERE scheduled.id = $1::uuid",
    ),
    (
        Rule::Topic,
        "UPDATE outtray.dead_letter SET topic = $2::text WHERE dead_letter.topic = $1::text",
    ),
    (
        Rule::Merge,
        "MERGE INTO outtray.lane USING (VALUES ($1::text)) AS mine (topic) ON lane.topic = mine.topic
        WHEN MATCHED THEN DELETE",
    ),
    (
        Rule::Notification,
        "DELETE FROM outtray.lane WHERE lane.topic = $1::text RETURNING pg_notify('channel', lane.topic)",
    ),
    (
        Rule::Cursor,
        "DELETE FROM outtray.lane WHERE CURRENT OF a_cursor",
    ),
];

/// Bodies of PL/pgSQL functions.
pub(super) const PLANTED_BODIES: [(Rule, &str); 3] = [
    (
        Rule::Place,
        "BEGIN IF true THEN DELETE FROM outtray.lane WHERE lane.ctid = '(0,1)'; END IF; END",
    ),
    (
        Rule::Volatile,
        "DECLARE opened bigint; BEGIN
        UPDATE outtray.log_segment SET opened_at = clock_timestamp() WHERE log_segment.segment = opened
        RETURNING log_segment.segment INTO opened; END",
    ),
    (
        Rule::OnConflict,
        "DECLARE a_row record; BEGIN FOR a_row IN
            INSERT INTO outtray.topic (topic) VALUES ('a')
            ON CONFLICT (topic) DO UPDATE SET changed_at = now() RETURNING topic
        LOOP NULL; END LOOP; END",
    ),
];
