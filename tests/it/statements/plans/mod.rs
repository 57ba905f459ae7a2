//! Statements of the hot path are planned once for a connection, maybe while there is next to
//! nothing: they must not have been planned by reading all of a topic, or by sorting it.

mod cases;
mod explain;
mod filled;
mod guards;
mod held;
mod planted;
mod statistics;

use crate::support::{Place, statement_text};
use postgres::SimpleQueryMessage;

/// Returns the plan that a statement gets in an empty database, with the settings that it is called
/// with.
fn plan(settings: &[&str], statement: &str, arguments: &str) -> Vec<String> {
    let mut place = Place::new();
    let text = statement_text(statement);
    place.sql("SET plan_cache_mode = force_generic_plan");
    for setting in settings {
        place.sql(&format!("SET {setting} = off"));
    }
    place.sql(&format!("PREPARE it AS {text}"));

    let explained = place
        .client
        .simple_query(&format!("EXPLAIN EXECUTE it ({arguments})"))
        .unwrap();

    let lines = explained.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(|line| line.trim().to_owned()),
        _ => None,
    });
    lines.collect()
}

/// Checks that a statement finds its rows by more than their topic.
#[track_caller]
fn check(settings: &[&str], statement: &str, arguments: &str) {
    let plan = plan(settings, statement, arguments);
    let reads_all = |line: &String| {
        *line == "Index Cond: (topic = $1)" || line.contains("Seq Scan") || line.contains("Sort")
    };
    assert!(!plan.iter().any(reads_all), "{statement}: {plan:#?}");
    assert!(
        plan.iter()
            .any(|line| line.contains("Index Cond: ((topic = $1)")),
        "{statement}: {plan:#?}"
    );
}

/// Returns what a statement does in a database that is filled after it was prepared.
fn done(mode: &str, fill: &str, statement: &str, arguments: &str) -> Vec<String> {
    let mut place = Place::new();
    place.sql(&format!("SET plan_cache_mode = {mode}"));
    let text = statement_text(statement);
    place.sql(&format!("PREPARE it AS {text}"));
    place.sql(&format!("EXPLAIN EXECUTE it ({arguments})"));
    place.sql(fill);
    let explain = format!("EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF) EXECUTE it ({arguments})");
    let explained = place.client.simple_query(&explain).unwrap();
    let line = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(|line| line.trim().to_owned()),
        _ => None,
    };
    explained.iter().filter_map(line).collect()
}

#[test]
fn a_look_at_what_is_scheduled_goes_no_further_than_it_says() {
    for known in ["", "ANALYZE outtray.scheduled"] {
        let fill = format!(
            "INSERT INTO outtray.scheduled (topic, rank, id, due_at, payload)
            SELECT two.topic, 0, gen_random_uuid(), now() + n * interval '1 s', '1'
            FROM (VALUES ('t'), ('u')) AS two (topic), generate_series(1, 5000) AS n; {known}"
        );

        let plan = done("force_generic_plan", &fill, "peek_scheduled", "'t', 3, 100");

        let is_bounded = |line: &String| {
            line.contains("Index Scan using scheduled_pkey") && line.contains("actual rows=100")
        };
        assert!(plan.iter().any(is_bounded), "{plan:#?}");
        assert!(
            !plan.iter().any(|line| line.contains("Seq Scan")),
            "{plan:#?}"
        );
    }
}

#[test]
fn the_dead_letters_of_a_key_are_found_without_reading_the_others() {
    for (statement, arguments) in [
        ("dead_letters", "'t', 10, NULL, 'key-7'"),
        (
            "redrive",
            "'t', NULL, 'key-7', '00000000-0000-0000-0000-000000000000', 1000, gen_random_uuid()",
        ),
        (
            "purge_dead",
            "'t', NULL, 'key-7', '00000000-0000-0000-0000-000000000000', 1000, gen_random_uuid()",
        ),
    ] {
        let fill = "INSERT INTO outtray.dead_letter
                (topic, id, rank, attempts, reason, error, sent_at, payload, key, seq)
            SELECT 't', gen_random_uuid(), 0, 1, 'rejected', 'no', now(), '1', 'key-' || n % 1000, n
            FROM generate_series(1, 5000) AS n; ANALYZE outtray.dead_letter";

        let plan = done("auto", fill, statement, arguments);

        let by_key = |line: &String| line.contains("dead_letter_key");
        assert!(plan.iter().any(by_key), "{statement}: {plan:#?}");
    }
}

#[test]
fn no_cancel_searches_all_of_its_ids_for_each_message_of_a_topic() {
    let mut place = Place::new();
    place.sql("SET plan_cache_mode = force_generic_plan");
    for (statement, arguments) in [
        ("cancel_ready", "'{}', false"),
        ("cancel_followers", "'{}', false"),
        ("ask_held", "'{}'"),
    ] {
        let text = statement_text(statement);
        place.sql(&format!("PREPARE {statement} AS {text}"));

        let explain = format!("EXPLAIN EXECUTE {statement} ({arguments})");
        let rows = place.client.simple_query(&explain).unwrap();

        let is_search = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row
                .get(0)
                .is_some_and(|line| line.contains("Filter:") && line.contains("(id = ANY")),
            _ => false,
        };
        assert!(!rows.iter().any(is_search), "{statement}: {rows:#?}");
    }
}

#[test]
fn no_claim_reads_or_sorts_a_whole_topic_also_when_planned_without_messages() {
    let settings = ["enable_sort"];
    check(&settings, "claim", "'t', '{0}', '{0}', '{1}', 100");
    let filtered = "'t', '{0}', '{0}', '{1}', 100, '{exists}', '{a}', '{null}'";
    check(&settings, "claim_filtered", filtered);
}

#[test]
fn no_statement_of_leases_reads_a_whole_topic_also_when_planned_without_messages() {
    let settings = ["enable_seqscan"];
    let claim = "'t', '{0}', '{0}', '{1}', 100, 1, NULL, NULL, NULL";
    check(&settings, "lease", claim);
    let receipt = "'t', gen_random_uuid(), gen_random_uuid()";
    check(&settings, "end_lease", receipt);
    check(&settings, "extend_lease", &format!("{receipt}, 1"));
    check(&settings, "prolong_lease", &format!("{receipt}, 1"));
    check(
        &settings,
        "give_back_lease",
        &format!("{receipt}, 1, 0, NULL"),
    );
    check(&settings, "end_held_lease", receipt);
    check(&settings, "hold_lease", receipt);
    check(&settings, "hold_free_lease", receipt);
}

#[test]
fn leases_are_counted_without_a_look_at_what_else_is_scheduled() {
    let plan = plan(&["enable_seqscan"], "count_leased", "'t', 10");
    let counts = |line: &String| line.contains("using scheduled_leased");
    assert!(plan.iter().any(counts), "{plan:#?}");
}
