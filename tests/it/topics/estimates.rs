//! Numbers over 100,000 are estimates, whatever the server's statistics say of the tables.

use crate::support::Place;
use outtray::TopicStats;

/// Fills the tables, but for what the statistics know of them.
const FILL: &str = "
DO $$ DECLARE mine text; BEGIN
    FOREACH mine IN ARRAY ARRAY['message', 'scheduled', 'follower', 'dead_letter'] LOOP
        EXECUTE format('ALTER TABLE outtray.%s SET (autovacuum_enabled = false)', mine);
    END LOOP;
END $$;
INSERT INTO outtray.message (topic, rank, id, payload)
SELECT CASE WHEN n % 3 = 0 THEN 'other' ELSE 't' END, 0, gen_random_uuid(), '{\"text\": \"0123456789\"}'
FROM generate_series(1, 600000) AS n;
INSERT INTO outtray.scheduled (topic, rank, id, due_at, payload, receipt)
SELECT 't', 0, gen_random_uuid(), 'infinity', '1', CASE WHEN n % 2 = 0 THEN gen_random_uuid() END
FROM generate_series(1, 240000) AS n;
INSERT INTO outtray.follower (topic, key, rank, id, payload)
SELECT 't', 'k', 0, gen_random_uuid(), '1' FROM generate_series(1, 100001) AS n;
INSERT INTO outtray.dead_letter (topic, id, rank, attempts, reason, error, sent_at, payload)
SELECT 't', gen_random_uuid(), 0, 1, 'rejected', 'no', now(), '1' FROM generate_series(1, 100000) AS n;
";

fn stats(place: &Place) -> TopicStats {
    place.messaging.topic("t").stats().unwrap()
}

#[track_caller]
fn check_near(estimate: u64, actual: u64) {
    let most = actual / 7;
    assert!(estimate.abs_diff(actual) <= most, "{estimate} for {actual}");
}

#[test]
fn a_number_over_a_hundred_thousand_is_an_estimate_with_whatever_statistics() {
    let mut place = Place::new();
    place.sql(FILL);

    for statistics in [
        // Never analyzed; then as after an ANALYZE of a table that was nearly empty, and of one
        // that was huge.
        "",
        "UPDATE pg_class SET reltuples = 1, relpages = 1
            WHERE relnamespace = 'outtray'::regnamespace AND relkind = 'r'",
        "UPDATE pg_class SET reltuples = 1e9, relpages = 1
            WHERE relnamespace = 'outtray'::regnamespace AND relkind = 'r'",
        "ANALYZE outtray.message, outtray.scheduled, outtray.follower, outtray.dead_letter",
    ] {
        place.sql(statistics);

        let stats = stats(&place);

        check_near(stats.ready, 400_000);
        check_near(stats.scheduled, 120_000);
        check_near(stats.leased, 120_000);
        check_near(stats.behind, 100_001);
        let all = [stats.ready, stats.scheduled, stats.leased, stats.behind];
        assert!(all.iter().all(|count| *count > 100_000), "{all:?}");
        let estimated = stats.estimated;
        assert!(estimated.ready && estimated.scheduled && estimated.leased && estimated.behind);
        // So many are still counted.
        assert_eq!((stats.dead, estimated.dead), (100_000, false));
    }

    // The pages stay, and what is left lies apart.
    place.sql("DELETE FROM outtray.message WHERE topic = 't' AND seq % 2 = 0");
    check_near(stats(&place).ready, 200_000);
    place.sql("DELETE FROM outtray.message WHERE topic = 't' AND seq % 4 = 1");
    let few = stats(&place);
    assert_eq!((few.ready, few.estimated.ready), (100_000, false));
    assert!(few.estimated.any());
}
