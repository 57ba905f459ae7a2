//! A database in which each table that can be large is: 50,000 rows, almost all of them of one
//! topic.

use crate::support::Place;
use outtray::Messaging;
use outtray::testing::Server;

/// The topic that has almost everything.
pub(super) const BUSY: &str = "busy";

/// The tables that a queue fills and empties.
pub(super) const TABLES: [&str; 29] = [
    "message",
    "scheduled",
    "follower",
    "lane",
    "stalled",
    "dead_letter",
    "dedupe",
    "outcome",
    "dependency",
    "vacated",
    "bucket",
    "cancellation",
    "attempt",
    "slot",
    "topic",
    "turn",
    "room",
    "worker",
    "recurring",
    "log",
    "log_1",
    "log_segment",
    "log_tick",
    "log_reader",
    "log_lane",
    "log_place",
    "subscription",
    "tally",
    "change",
];

/// What autovacuum does, the test does itself.
const LEAVE_ALONE: &str = "DO $$ DECLARE mine text; BEGIN
    FOR mine IN SELECT oid::regclass FROM pg_class WHERE relnamespace = 'outtray'::regnamespace AND relkind = 'r' LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', mine);
    END LOOP;
END $$;
CREATE FUNCTION id_of(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
    $$ SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
CREATE FUNCTION topic_of(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT CASE WHEN n <= 49000 THEN 'busy' ELSE 'side-' || n % 50 END $$;";

/// Fills all of them with the rows from $from to $to of each; small tables have fewer.
const ROWS: &str = "
INSERT INTO outtray.message (topic, rank, seq, id, payload, key, expires_at, on_end)
SELECT topic_of(n), 0, n, id_of(n), '{\"n\": 1}', CASE WHEN n % 2 = 0 THEN 'key-' || n END,
    CASE WHEN n % 3 = 0 THEN now() + (CASE WHEN n <= 300 THEN -1 ELSE 1 END) * interval '1 day' END,
    CASE WHEN n % 5 = 0 THEN 1 END
FROM generate_series($from, $to) AS n;
INSERT INTO outtray.scheduled
    (topic, rank, id, due_at, payload, key, seq, error, expires_at, on_end, receipt, wait_us)
SELECT topic_of(n), 0, id_of(100000 + n),
    CASE WHEN n <= 1000 THEN now() - interval '1 hour' WHEN n > 40000 AND n <= 49000 THEN 'infinity'
        ELSE now() + n * interval '1 s' END,
    '{\"n\": 1}', CASE WHEN n % 4 = 0 THEN 'wait-' || n END, CASE WHEN n % 8 = 0 THEN 300000 + n END,
    CASE WHEN n % 8 = 0 THEN 'over' END,
    CASE WHEN n % 3 = 0 THEN now() + (CASE WHEN n <= 300 THEN -1 ELSE 1 END) * interval '1 day' END,
    CASE WHEN n % 5 = 0 THEN 1 END, CASE WHEN n > 10000 AND n <= 20000 THEN id_of(n) END, 0
FROM generate_series($from, $to) AS n;
INSERT INTO outtray.follower (topic, key, seq, rank, id, payload, expires_at, on_end)
SELECT topic_of(n), CASE WHEN n <= 25000 THEN 'hot' ELSE 'line-' || n % 2500 END, 100000 + n, 0, id_of(200000 + n),
    '{\"n\": 1}', CASE WHEN n % 3 = 0 THEN now() + (CASE WHEN n <= 25300 AND n > 25000 THEN -1 ELSE 1 END) * interval '1 day' END,
    CASE WHEN n % 5 = 0 THEN 1 END
FROM generate_series($from, $to) AS n;
INSERT INTO outtray.lane (topic, key)
SELECT topic_of(n), CASE WHEN n <= 2500 THEN 'line-' || n - 1 ELSE 'key-' || n END FROM generate_series($from, $to) AS n;
INSERT INTO outtray.stalled (topic, key, said_by)
SELECT topic_of(n), CASE WHEN n <= 2500 THEN 'line-' || n - 1 ELSE 'key-' || n END, id_of(n)
FROM generate_series($from, $to) AS n;
INSERT INTO outtray.dead_letter
    (topic, id, rank, attempts, reason, error, sent_at, died_at, payload, key, seq, on_end)
SELECT topic_of(n), id_of(300000 + n), 0, 1, 'rejected', 'no', now(), now() - (60000 - n) * interval '1 s', '1',
    CASE WHEN n % 2 = 0 THEN 'dead-' || n % 5000 END, n, CASE WHEN n % 5 = 0 THEN 1 END
FROM generate_series($from, $to) AS n;
INSERT INTO outtray.dedupe (topic, key, id, expires_at)
SELECT topic_of(n), 'once-' || n, CASE WHEN n % 10 = 1 THEN id_of(300000 + n) ELSE id_of(n) END,
    CASE WHEN n <= 300 THEN now() - interval '1 day' WHEN n % 5 < 2 THEN 'infinity' ELSE now() + interval '1 day' END
FROM generate_series($from, $to) AS n;
INSERT INTO outtray.outcome (topic, id, state, kept_ms, ended_at, members)
SELECT topic_of(n), id_of(n), CASE WHEN n <= 25000 THEN 'pending' ELSE 'done' END,
    CASE WHEN n % 2 = 0 THEN 60000 ELSE 3600000 END,
    CASE WHEN n > 25000 THEN now() - CASE WHEN n <= 25300 THEN interval '1 day' ELSE interval '0' END END,
    CASE WHEN n % 10 = 0 THEN 5 END
FROM generate_series($from, $to) AS n;
INSERT INTO outtray.dependency (topic, id, on_id, needs_success)
SELECT topic_of(n), id_of(140001 + n / 5), id_of(n), n % 2 = 0 FROM generate_series($from, $to) AS n;
INSERT INTO outtray.vacated (topic, messages) SELECT topic_of(n), 1 FROM generate_series($from, $to) AS n;
INSERT INTO outtray.bucket (topic, key, full_at, granted)
SELECT topic_of(n), 'rate-' || n, now() + interval '1 hour', 1 FROM generate_series($from, $to) AS n;
INSERT INTO outtray.cancellation (topic, id, asked_at)
SELECT topic_of(n), id_of(n), now() - interval '1 day' FROM generate_series($from, least($to, 200)) AS n;
INSERT INTO outtray.attempt (topic, id, attempts) SELECT topic_of(n), id_of(n), 1 FROM generate_series($from, least($to, 5000)) AS n;
INSERT INTO outtray.slot (topic, number) SELECT 'busy', n FROM generate_series($from, least($to, 200)) AS n;
INSERT INTO outtray.topic (topic, config)
SELECT 'topic-' || n, CASE WHEN n % 10 = 0 THEN '{\"max_in_work_per_key\": 1}'::json END FROM generate_series($from, least($to, 200)) AS n;
INSERT INTO outtray.turn (topic) SELECT 'topic-' || n FROM generate_series($from, least($to, 200)) AS n;
INSERT INTO outtray.room (topic, used) SELECT 'topic-' || n, 1000 FROM generate_series($from, least($to, 200)) AS n;
INSERT INTO outtray.worker (topic, id, process, holds_lock)
SELECT 'topic-' || n, n, 'process', false FROM generate_series($from, least($to, 200)) AS n;
INSERT INTO outtray.subscription (topic, pattern, grace_us, expires_at)
SELECT topic_of(n), 'p.' || n, CASE WHEN n % 100 = 0 THEN 1000 END,
    CASE WHEN n % 100 = 0 THEN now() + (CASE WHEN n <= 1000 THEN -1 ELSE 1 END) * interval '1 day' END
FROM generate_series($from, $to) AS n;
INSERT INTO outtray.tally (topic, minute, done, failed, dead, expired, cancelled, handled_us)
SELECT topic_of(n), floor(extract(epoch FROM now()) / 60)::bigint - n, 1, 0, 0, 0, 0, 0 FROM generate_series($from, $to) AS n
-- A minute may pass between two fillings.
ON CONFLICT DO NOTHING;
INSERT INTO outtray.change (topic, id, at, operator, what)
SELECT topic_of(n), id_of(n), now() - (CASE WHEN n <= 300 THEN 100 ELSE 1 END) * interval '1 day', 'ada', 'paused'
FROM generate_series($from, $to) AS n;
INSERT INTO outtray.history (day, topic, id, how, ended_at, key, sent_at, attempts)
SELECT floor(extract(epoch FROM now()) / 86400)::bigint + 1, topic_of(n),
    (lpad(to_hex(n), 8, '0') || '-0000-7000-8000-000000000000')::uuid,
    CASE WHEN n % 10 = 0 THEN 'dead' ELSE 'done' END, now() - n * interval '1 s',
    CASE WHEN n % 2 = 0 THEN 'key-' || n % 5000 END, now() - interval '1 day', 1
FROM generate_series($from, $to) AS n;
INSERT INTO outtray.recurring (topic, name, cron, time_zone, missed, rank, payload, next_at)
SELECT 'topic-' || n, 'name', '0 0 * * *', 'UTC', 'skip', 0, '1', now() + (n - 100) * interval '1 s'
FROM generate_series($from, least($to, 200)) AS n;
SELECT outtray.log_open_segment('busy', NULL) WHERE $from = 1;
INSERT INTO outtray.log_entry (topic, segment, tx, seq, id, key, payload)
SELECT 'busy', 1, (10 + n % 1000)::text::xid8, n, id_of(n), CASE WHEN n % 2 = 0 THEN 'key-' || n END, '{\"n\": 1}'
FROM generate_series($from, $to) AS n;
INSERT INTO outtray.log_tick (topic, tick, snapshot, low, high, segments)
SELECT 'busy', n, '3:3:', n, n + 100, '{1}' FROM generate_series($from, $to) AS n;
INSERT INTO outtray.log (topic, segment) SELECT 'topic-' || n, 1 FROM generate_series($from, least($to, 200)) AS n;
INSERT INTO outtray.log_segment (topic, segment) SELECT 'topic-' || n, n + 1 FROM generate_series($from, least($to, 200)) AS n;
INSERT INTO outtray.log_reader (topic, reader, lanes) SELECT 'busy', 'reader-' || n, 1 FROM generate_series($from, least($to, 200)) AS n;
INSERT INTO outtray.log_lane (topic, reader, lane)
SELECT 'busy', 'reader-' || n, lane FROM generate_series($from, least($to, 200)) AS n, generate_series(0, 9) AS lane;
INSERT INTO outtray.log_place (topic, reader, lane, moved, tick, seq)
SELECT 'busy', 'reader-1', n % 10, n, n, n FROM generate_series($from, $to) AS n;
";

/// Rows of the topic that has almost everything, which the statements need beside the others.
const BESIDES: &str = "
INSERT INTO outtray.topic (topic, config) VALUES ('busy', '{\"max_in_work\": 1000, \"poisoned_key\": \"park\", \"keep_done_ms\": 60000}');
INSERT INTO outtray.turn (topic) VALUES ('busy');
INSERT INTO outtray.room (topic, used) VALUES ('busy', 1000);
INSERT INTO outtray.lane (topic, key) VALUES ('busy', 'hot');
SELECT setval('outtray.message_seq', 1000000), setval('outtray.log_seq', 1000000), setval('outtray.worker_seq', 1000000);
INSERT INTO outtray.worker (topic, id, process, holds_lock) VALUES ('busy', 100000, 'process', false);
";

/// Makes the database on a server of its own. Where others make and drop databases all the time, a
/// connection misses some of the news, and forgets every plan that it kept.
pub(super) fn empty_on(server: &Server) -> Place {
    let url = server.database().unwrap();
    let mut place = Place::over(&url, Messaging::connect(&url).unwrap());
    place.sql(LEAVE_ALONE);
    place
}

/// Starts a server for [`empty_on`].
pub(super) fn quiet_server() -> Server {
    Server::builder().always_embedded().start().unwrap()
}

/// Makes the database, with three rows in each table.
pub(super) fn nearly_empty() -> Place {
    let mut place = Place::new();
    place.sql(LEAVE_ALONE);
    place.sql(&rows(1, 3));
    place
}

/// Adds what is missing to the 50,000.
pub(super) fn fill(place: &mut Place) {
    place.sql(&rows(4, 50_000));
    place.sql(BESIDES);
}

/// Fills an empty one likewise.
pub(super) fn fill_from_empty(place: &mut Place) {
    place.sql(&rows(1, 3));
    fill(place);
}

fn rows(from: u32, to: u32) -> String {
    ROWS.replace("$from", &from.to_string())
        .replace("$to", &to.to_string())
}
