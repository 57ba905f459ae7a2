//! Each statement of the store with parameters as they are in use, and how much it may touch for
//! them.

mod asked;
mod examined;
mod found;
mod kept;
mod logs;
mod ready;
mod waiting;

use std::fmt::Display;

/// One call of a statement.
pub(super) struct Case {
    pub(super) statement: &'static str,
    pub(super) arguments: String,
    pub(super) bound: Bound,
}

/// How much a call may touch.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    /// So many rows are asked for, or are there to be asked for.
    Rows(u64),
    /// It reads this much, for a reason.
    Pages(u64, &'static str),
    /// It reads a table, for a reason.
    Tables(&'static str),
}

impl Bound {
    /// Returns how many pages it may touch, and how many rows it may look at.
    pub(super) fn limit(self) -> Option<u64> {
        match self {
            Bound::Rows(rows) => Some(200 + 20 * rows),
            Bound::Pages(pages, _why) => Some(pages),
            Bound::Tables(_why) => None,
        }
    }
}

fn id(n: u32) -> String {
    format!("'00000000-0000-7000-8000-{n:012x}'")
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("'{{{}}}'", items.join(","))
}

fn ids(from: u32, count: u32) -> String {
    list((from..from + count).map(|n| id(n).replace('\'', "")))
}

fn keys(stem: &str, from: u32, count: u32) -> String {
    list((from..from + count).map(|n| format!("{stem}-{n}")))
}

/// Ten keys, of every eighth row.
fn eighths(stem: &str, from: u32) -> String {
    list((from..from + 80).step_by(8).map(|n| format!("{stem}-{n}")))
}

fn numbers(from: u32, count: u32) -> String {
    list(from..from + count)
}

fn same(item: &str, count: u32) -> String {
    list((0..count).map(|_| item))
}

/// Reads by id what no index on ids serves.
const BY_ID: &str =
    "only tracked messages have an index on their ids: of others the table is read, once for all";

const WAITED_FOR: &str =
    "by hand: reads what is waited for as a whole, where it seems to be little";

/// Returns a call of each, in the order of their names.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = ready::ready();
    cases.extend(waiting::waiting());
    cases.extend(waiting::keyed());
    cases.extend(kept::ended());
    cases.extend(kept::kept());
    cases.extend(logs::logs());
    cases.extend(logs::readers());
    cases.extend(examined::examined());
    cases.extend(found::found());
    cases.extend(found::changed());
    cases.extend(asked::asked());
    cases
}

fn case(statement: &'static str, bound: Bound, arguments: &[&str]) -> Case {
    let arguments = match arguments {
        [] => String::new(),
        some => format!("({})", some.join(", ")),
    };
    Case {
        statement,
        arguments,
        bound,
    }
}
