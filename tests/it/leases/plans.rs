//! Statements of leases are planned once for a connection, maybe while there is next to nothing: they must not have been
//! planned by reading all of a topic.

use crate::support::Place;
use postgres::SimpleQueryMessage;
use std::fs;

#[test]
fn no_statement_of_leases_reads_a_whole_topic_also_when_planned_without_messages() {
    for (name, arguments) in [
        (
            "lease",
            "'t', '{0}', '{0}', '{1}', 100, 1, NULL, NULL, NULL",
        ),
        ("end_lease", "'t', gen_random_uuid(), gen_random_uuid()"),
        (
            "extend_lease",
            "'t', gen_random_uuid(), gen_random_uuid(), 1",
        ),
        (
            "give_back_lease",
            "'t', gen_random_uuid(), gen_random_uuid(), 1",
        ),
        ("hold_lease", "'t', gen_random_uuid(), gen_random_uuid()"),
    ] {
        let mut place = Place::new();
        let statement = fs::read_to_string(format!("src/store/sql/{name}.sql")).unwrap();
        place.sql("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off");
        place.sql(&format!("PREPARE it AS {statement}"));

        let explained = place
            .client
            .simple_query(&format!("EXPLAIN EXECUTE it ({arguments})"))
            .unwrap();

        let plan: Vec<&str> = explained
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::trim),
                _ => None,
            })
            .collect();
        let reads_all =
            |line: &&str| *line == "Index Cond: (topic = $1)" || line.contains("Seq Scan");
        assert!(!plan.iter().any(reads_all), "{name}: {plan:#?}");
        assert!(
            plan.iter()
                .any(|line| line.contains("Index Cond: ((topic = $1)")),
            "{name}: {plan:#?}"
        );
    }
}
