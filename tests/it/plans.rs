//! Statements of the hot path are planned once for a connection, maybe while there is next to nothing: they must not have
//! been planned by reading all of a topic, or by sorting it.

use crate::support::Place;
use postgres::SimpleQueryMessage;
use std::fs;

/// Returns the plan that a statement gets in an empty database, with the settings that it is called with.
fn plan(settings: &[&str], statement: &str, arguments: &str) -> Vec<String> {
    let mut place = Place::new();
    let text = fs::read_to_string(format!("src/store/sql/{statement}.sql")).unwrap();
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

#[test]
fn no_cancel_searches_all_of_its_ids_for_each_message_of_a_topic() {
    let mut place = Place::new();
    place.sql("SET plan_cache_mode = force_generic_plan");
    for statement in ["cancel_ready", "cancel_followers", "ask_held"] {
        let text = fs::read_to_string(format!("src/store/sql/{statement}.sql")).unwrap();
        place.sql(&format!("PREPARE {statement} AS {text}"));

        let explain = format!("EXPLAIN EXECUTE {statement} ('{{}}')");
        let rows = place.client.simple_query(&explain).unwrap();

        let is_search = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row
                .get(0)
                .is_some_and(|line| line.contains("Filter:") && line.contains("= ANY")),
            _ => false,
        };
        assert!(!rows.iter().any(is_search), "{statement}: {rows:#?}");
    }
}

#[test]
fn no_claim_reads_or_sorts_a_whole_topic_also_when_planned_without_messages() {
    let settings = ["enable_sort"];
    check(&settings, "claim", "'t', '{0}', '{0}', '{1}', 100");
    let filtered = "'t', '{0}', '{0}', '{1}', 100, '{a}', '{b}', 1";
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
    check(&settings, "give_back_lease", &format!("{receipt}, 1"));
    check(&settings, "hold_lease", receipt);
}

#[test]
fn leases_are_counted_without_a_look_at_what_else_is_scheduled() {
    let plan = plan(&["enable_seqscan"], "count_leased", "'t', 10");
    let counts = |line: &String| line.contains("using scheduled_leased");
    assert!(plan.iter().any(counts), "{plan:#?}");
}
