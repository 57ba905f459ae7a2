//! The checks of [`statistics`](super::statistics) can fail: bad statements in the places of ours
//! are found.

use super::cases::{Case, cases};
use super::filled::{empty_on, fill, fill_from_empty, nearly_empty, quiet_server};
use super::statistics::Trial;
use crate::support::statement_text;
use std::collections::BTreeMap;

/// Statements of ours, and what is called instead of each, with the same parameters.
const PLANTED: [(&str, &str); 6] = [
    // A join, which reads all of the topic while it seems to be one row.
    (
        "acknowledge",
        "DELETE FROM outtray.message
        USING unnest($2::smallint[], $3::bigint[]) AS handled (rank, seq)
        WHERE message.topic = $1::text AND message.rank = handled.rank AND message.seq = handled.seq",
    ),
    // The topic is looked up, and the rest of the key is a filter.
    (
        "acknowledge_one",
        "DELETE FROM outtray.message
        WHERE message.topic = $1::text AND (message.rank = $2::smallint AND message.seq = $3::bigint) IS TRUE",
    ),
    // No index serves it.
    (
        "hold",
        "SELECT message.attempts FROM outtray.message
        WHERE message.topic || '' = $1::text
            AND (message.rank = $2::smallint AND message.seq = $3::bigint AND message.id = $4::uuid) IS TRUE",
    ),
    // All is read to find the first, and nothing of it is filtered.
    (
        "peek",
        "SELECT message.id FROM outtray.message
        WHERE message.topic = $1::text ORDER BY message.sent_at, message.id LIMIT $2::bigint",
    ),
    // The same, without an order: there are fewer pages than rows that may be read.
    (
        "stats",
        "SELECT least(count(*), $2::bigint) FROM outtray.message WHERE message.topic = $1::text",
    ),
    // In other tables, too.
    (
        "make_due",
        "UPDATE outtray.scheduled SET due_at = now()
        FROM unnest($2::uuid[]) AS mine (id)
        WHERE scheduled.topic = $1::text AND (scheduled.id = mine.id) IS TRUE",
    ),
];

fn planted(statement: &str) -> Option<&'static str> {
    let mut planted = PLANTED.iter();
    let (_, text) = planted.find(|(instead_of, _)| *instead_of == statement)?;
    Some(text)
}

#[track_caller]
fn check_found(statement: &str, wrong: &BTreeMap<String, String>) {
    let is_it = |call: &String| call.split(' ').next() == Some(statement);
    assert!(wrong.keys().any(is_it), "{statement} is not in {wrong:#?}");
}

#[test]
fn a_statement_that_reads_more_than_it_needs_is_found() {
    let mut place = nearly_empty();
    place.sql("ANALYZE");
    fill(&mut place);
    let is_planted = |case: &Case| planted(case.statement).is_some();
    let bad = cases().into_iter().filter(is_planted).collect();
    let mut trial = Trial::over(place, bad, |statement| {
        planted(statement).unwrap().to_owned()
    });

    trial.run("three rows analyzed", &["1", "4000"]);

    for (statement, _) in PLANTED {
        check_found(statement, &trial.wrong);
    }
}

#[test]
fn a_plan_that_should_not_be_kept_is_found() {
    // Of ours; it is planned anew each time.
    let is_it = |case: &Case| case.statement == "hold";
    let server = quiet_server();
    let mut place = empty_on(&server);
    place.sql("VACUUM ANALYZE");
    let mut trial = Trial::over(
        place,
        cases().into_iter().filter(is_it).collect(),
        statement_text,
    );
    trial.plan_all();
    fill_from_empty(&mut trial.place);

    trial.run_as_planned("vacuumed");

    check_found("hold", &trial.wrong);
}
