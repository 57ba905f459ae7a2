//! What statements touch does not depend on what the statistics say at the moment: a queue's tables
//! are full one minute and empty the next, and autovacuum comes by at any time.

use super::cases::{Case, cases};
use super::explain::{Touched, touched};
use super::filled::{TABLES, empty_on, fill, fill_from_empty, nearly_empty, quiet_server};
use super::guards::Guard;
use crate::support::{Place, statement_names, statement_plan, statement_text};
use postgres::SimpleQueryMessage;
use postgres::error::SqlState;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Rows and pages that a table is said to have.
const ROWS: [&str; 7] = ["-1", "0", "1", "3", "10", "100", "1000000"];
const PAGES: [&str; 4] = ["0", "1", "100", "4000"];

/// What is planned once is planned for all parameters; what travels as text, for those that it has.
const MODES: [&str; 2] = ["force_generic_plan", "force_custom_plan"];

/// Returns whether a call's plan is never kept, or kept only with settings of its own that other
/// tests hold.
pub(super) fn is_never_kept(case: &Case) -> bool {
    let is_planned_anew =
        ["Anew", "Key", "Keys", "Fenced"].contains(&statement_plan(case.statement).as_str());
    // To plan each send with a dedupe key anew, duplicates are too few.
    let is_apart = case.arguments.contains("'once-1000', 1000000");
    let is_kept_in_flights = [Guard::Tables, Guard::Rows].contains(&Guard::of_kept(case.statement));
    (is_planned_anew && !is_kept_in_flights) || is_apart
}

fn lines(messages: &[SimpleQueryMessage]) -> Vec<String> {
    let line = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0)?.to_owned()),
        _ => None,
    };
    messages.iter().filter_map(line).collect()
}

/// Tells the planner that all tables have so many rows in so many pages, until the transaction
/// ends.
fn believe(place: &mut Place, rows: &str, pages: &str) {
    let tables: Vec<String> = TABLES
        .iter()
        .map(|table| format!("'outtray.{table}'::regclass"))
        .collect();
    place.sql(&format!(
        "UPDATE pg_class SET reltuples = {rows}, relpages = {pages} WHERE oid IN ({})",
        tables.join(", ")
    ));
}

/// Calls of statements under each state, and what was wrong.
pub(super) struct Trial {
    pub(super) place: Place,
    cases: Vec<Case>,
    seen: HashSet<(usize, String)>,
    /// By the statement and what it was called with.
    pub(super) wrong: BTreeMap<String, String>,
}

impl Trial {
    /// Begins with the text that each statement is said to have.
    pub(super) fn over(place: Place, cases: Vec<Case>, text: impl Fn(&str) -> String) -> Trial {
        let mut trial = Trial {
            place,
            cases,
            seen: HashSet::new(),
            wrong: BTreeMap::new(),
        };
        let names: BTreeSet<&str> = trial.cases.iter().map(|case| case.statement).collect();
        for name in names {
            trial
                .place
                .sql(&format!("PREPARE {name} AS {}", text(name)));
        }
        trial
    }

    /// Plans all statements with all that the planner may be made to believe. Each plan is carried
    /// out once.
    pub(super) fn run(&mut self, known: &str, all_pages: &[&str]) {
        for rows in ROWS {
            for pages in all_pages {
                self.place.sql("BEGIN");
                believe(&mut self.place, rows, pages);
                for guard in Guard::ALL {
                    self.place.sql("SAVEPOINT guarded");
                    self.place.sql(guard.settings());
                    for mode in MODES {
                        self.place
                            .sql(&format!("SET LOCAL plan_cache_mode = {mode}"));
                        self.call_all(
                            guard,
                            &format!("{known}, {rows} rows in {pages} pages, {mode}"),
                        );
                    }
                    self.place.sql("ROLLBACK TO guarded; RELEASE guarded");
                }
                self.place.sql("ROLLBACK");
            }
        }
    }

    /// Calls what is called under a guard.
    fn call_all(&mut self, guard: Guard, state: &str) {
        for index in 0..self.cases.len() {
            if self.cases[index].bound.limit().is_none()
                || guard != Guard::of(self.cases[index].statement)
            {
                continue;
            }
            let call = format!(
                "EXECUTE {}{}",
                self.cases[index].statement, self.cases[index].arguments
            );
            let explained = self
                .place
                .client
                .simple_query(&format!("EXPLAIN (COSTS OFF) {call}"));
            let plan =
                lines(&explained.unwrap_or_else(|error| panic!("{call}: {error:?}"))).join("\n");
            if self.seen.insert((index, plan.clone())) {
                self.place
                    .sql("SAVEPOINT before; SET LOCAL statement_timeout = '5s'");
                let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {call}");
                let explained = self.place.client.simple_query(&explain);
                self.place.sql("ROLLBACK TO before; RELEASE before");
                let touched = match &explained {
                    Ok(explained) => {
                        touched(&serde_json::from_str(&lines(explained).concat()).unwrap())
                    }
                    Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
                        Touched::endless()
                    }
                    Err(error) => panic!("{call}: {error:?}"),
                };
                self.judge(index, touched, state, &plan);
            }
        }
    }

    /// Has each statement planned once for all parameters, as the server keeps it for a connection.
    pub(super) fn plan_all(&mut self) {
        for guard in Guard::ALL {
            self.place
                .sql("BEGIN; SET LOCAL plan_cache_mode = force_generic_plan");
            self.place.sql(guard.settings());
            for case in &self.cases {
                if case.bound.limit().is_some() && guard == Guard::of_kept(case.statement) {
                    let explain = format!("EXPLAIN EXECUTE {}{}", case.statement, case.arguments);
                    self.place.sql(&explain);
                }
            }
            self.place.sql("COMMIT");
        }
    }

    /// Calls all statements with the plans that they have.
    pub(super) fn run_as_planned(&mut self, known: &str) {
        // Whatever is planned now, in spite of what is to be tried, reads all.
        self.place.sql(
            "BEGIN; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_indexscan = off; \
             SET LOCAL enable_indexonlyscan = off",
        );
        for guard in Guard::ALL {
            self.call_all(guard, known);
        }
        self.place.sql("ROLLBACK");
    }

    fn judge(&mut self, index: usize, touched: Touched, state: &str, plan: &str) {
        let case = &self.cases[index];
        let Some(limit) = case.bound.limit() else {
            return;
        };
        if touched.pages > limit || touched.rows > limit {
            let name = format!("{} {:.40}", case.statement, case.arguments);
            let plan = if std::env::var("PLANS").is_ok() {
                plan
            } else {
                ""
            };
            self.wrong.entry(name).or_insert_with(|| {
                format!(
                    "{} pages, {} rows ({limit} allowed) with {state}: {}\n{plan}",
                    touched.pages, touched.rows, touched.worst.1
                )
            });
        }
    }
}

#[test]
fn no_statement_reads_more_than_it_needs_whatever_the_statistics_say() {
    let mut place = nearly_empty();
    place.sql("ANALYZE");
    fill(&mut place);
    let mut trial = Trial::over(place, cases(), statement_text);

    trial.run("three rows analyzed", &PAGES);
    trial.place.sql(
        "DELETE FROM pg_statistic WHERE starelid IN
        (SELECT oid FROM pg_class WHERE relnamespace = 'outtray'::regnamespace)",
    );
    trial.run("nothing analyzed", &["0", "4000"]);
    trial.place.sql("ANALYZE");
    trial.run("all analyzed", &["0", "4000"]);

    assert!(
        trial.wrong.is_empty(),
        "{} are wrong: {:#?}",
        trial.wrong.len(),
        trial.wrong
    );
}

#[test]
fn a_plan_that_is_kept_since_there_was_next_to_nothing_reads_no_more_than_it_needs() {
    let server = quiet_server();
    let mut wrong = BTreeMap::new();
    for (known, learn) in [("never analyzed", ""), ("vacuumed", "VACUUM ANALYZE")] {
        let mut place = empty_on(&server);
        place.sql(learn);
        let kept = cases().into_iter().filter(|case| !is_never_kept(case));
        let mut trial = Trial::over(place, kept.collect(), statement_text);
        trial.plan_all();
        fill_from_empty(&mut trial.place);
        trial.run_as_planned(known);
        wrong.extend(trial.wrong);
    }

    assert!(wrong.is_empty(), "{} are wrong: {wrong:#?}", wrong.len());
}

#[test]
fn each_statement_has_a_call() {
    let called: BTreeSet<&str> = cases().iter().map(|case| case.statement).collect();

    // COPY has no plan.
    let missing: Vec<&str> = statement_names()
        .into_iter()
        .filter(|name| !["append_copy", "send_copy"].contains(name) && !called.contains(name))
        .collect();

    assert!(missing.is_empty(), "{missing:?}");
}
