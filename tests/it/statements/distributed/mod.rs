//! Statements and tables also run where they are distributed: on Citus, with one schema for each
//! group of topics.
//!
//! Citus is not there when tests run. What it refuses is known from its source, and each rule is in
//! [`rules::Rule`]. The server analyses each statement: it becomes the body of a function, whose
//! tree tells the functions and operators that it calls; the catalog tells how volatile these are.
//! So do the statements inside of PL/pgSQL functions, and migrations are judged by what they made.
//!
//! Several rows are changed by their keys like this, without `ctid` and whatever the planner
//! believes of the table (see `acknowledge.sql`):
//!
//! ```sql
//! DELETE FROM outtray.message
//! USING (
//!     SELECT $1::text AS topic, given.rank, given.seq
//!     FROM unnest($2::smallint[], $3::bigint[]) AS given (rank, seq)
//!     OFFSET 0
//! ) AS handled
//! WHERE message.topic = ANY (ARRAY[handled.topic])
//!     AND message.rank = handled.rank
//!     AND message.seq = handled.seq
//! ```
//!
//! A topic that is compared with a parameter could be looked up alone. An array of one is no
//! equality to the planner: no index is read as a whole to be merged; and all of the key comes from
//! the same rows, so no column of it is left out. Where reading the table is not switched off
//! (`enable_seqscan`), a condition that is always so, and expected of hardly any, makes look-ups
//! the cheaper way (see `bury.sql`).

mod analyst;
mod bodies;
mod not_yet;
mod planted;
mod rules;
mod tables;
mod tree;

use crate::support::{Place, client, statement_names, statement_text};
use analyst::Analyst;
use bodies::bodies;
use not_yet::{SPANNING, is_function, is_statement};
use planted::{PLANTED, PLANTED_BODIES};
use rules::{Rule, broken};
use std::collections::{BTreeMap, BTreeSet};

/// Returns the rules that a statement breaks; or why it cannot be told.
fn judge(analyst: &mut Analyst, name: &str, text: &str) -> Result<BTreeSet<Rule>, String> {
    let tree = analyst.prepared(text)?;
    let mut broken = broken(analyst, &tree);
    if SPANNING.contains(&name) {
        broken.remove(&Rule::WholeKey);
    }
    Ok(broken)
}

/// Returns the text of each statement, without comments. COPY is no statement that is analysed.
fn statements() -> BTreeMap<&'static str, String> {
    // Beside the migrations; `drop` is no statement but commands.
    let of_schema = ["living", "sequences", "stale_functions"];
    let of_command = ["open_transactions"];
    let others = of_schema.into_iter().chain(of_command);
    let texts = statement_names().into_iter().chain(others).map(|name| {
        let text = statement_text(name);
        let lines = text
            .lines()
            .map(|line| line.split("--").next().unwrap_or_default());
        (name, lines.collect::<Vec<_>>().join("\n"))
    });
    texts
        .filter(|(_, text)| !text.trim_start().starts_with("COPY"))
        .collect()
}

#[test]
fn statements_keep_the_rules_of_distributed_tables() {
    let mut analyst = Analyst::new();
    let mut wrong = Vec::new();

    for (name, text) in statements() {
        let broken = judge(&mut analyst, name, &text);
        match broken {
            Ok(broken) if broken.is_empty() == is_statement(name) => {
                wrong.push(match broken.is_empty() {
                    true => format!("{name} keeps all rules: take it out of `not_yet`"),
                    false => format!("{name} breaks {broken:?}"),
                })
            }
            Ok(_) => {}
            Err(error) => wrong.push(format!("{name} cannot be analysed: {error}")),
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn functions_keep_the_rules_of_distributed_tables() {
    let mut analyst = Analyst::new();
    let place = Place::new();
    let mut breaking: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();

    for body in bodies(&place.url) {
        let variables: Vec<String> = body
            .variables
            .iter()
            .map(|(name, kind)| format!("{name} {kind}"))
            .collect();
        for change in &body.changes {
            let found = match analyst.body(&variables.join(", "), change) {
                Ok(tree) => broken(&analyst, &tree)
                    .iter()
                    .map(|rule| format!("{rule:?}"))
                    .collect(),
                Err(error) => vec![format!("cannot be analysed: {error}: {change}")],
            };
            breaking.entry(body.name.clone()).or_default().extend(found);
        }
    }

    let mut wrong = Vec::new();
    for (name, broken) in &breaking {
        if broken.is_empty() == is_function(name) {
            wrong.push(format!("{name}: {broken:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn tables_can_be_distributed() {
    let place = Place::new();

    let wrong = tables::wrong(&mut client(&place.url));

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_tables_must_not_be_is_found() {
    let place = Place::new();
    let mut client = client(&place.url);
    for (planted, word) in tables::PLANTED {
        client.batch_execute("BEGIN").unwrap();
        client.batch_execute(planted).unwrap();

        let wrong = tables::wrong(&mut client);

        client.batch_execute("ROLLBACK").unwrap();

        assert!(
            wrong.iter().any(|wrong| wrong.contains(word)),
            "{planted}: {wrong:?}"
        );
    }
}

#[test]
fn each_broken_rule_is_found() {
    let mut analyst = Analyst::new();
    let mut wrong = Vec::new();

    for (rule, text) in PLANTED {
        match analyst.prepared(text).map(|tree| broken(&analyst, &tree)) {
            Ok(found) if found.contains(&rule) => {}
            found => wrong.push(format!("{rule:?} is not in {found:?}: {text}")),
        }
    }
    for (rule, source) in PLANTED_BODIES {
        let body = bodies::body("planted", source, Vec::new());
        let variables: Vec<String> = body
            .variables
            .iter()
            .map(|(name, kind)| format!("{name} {kind}"))
            .collect();
        let found = body.changes.iter().filter_map(|change| {
            let tree = analyst.body(&variables.join(", "), change).ok()?;
            Some(broken(&analyst, &tree))
        });
        if !found.flatten().any(|found| found == rule) {
            wrong.push(format!("{rule:?} is not found in {source}"));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
