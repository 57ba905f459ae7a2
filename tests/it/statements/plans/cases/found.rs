//! Calls of the statements that find messages and mend them, and of those about changes.

#![expect(clippy::too_many_lines, reason = "tables of calls")]

use super::{BY_ID, Bound, Case, case, id, ids, numbers, same};
use crate::statements::plans::filled::BUSY;

const TODAY: [&str; 2] = ["0", "4000000000000000"];
const BY_HAND: &str = "beside a change by hand: no more than the list of changes";

/// Returns calls of the statements that find messages.
pub(super) fn found() -> Vec<Case> {
    use Bound::{Rows, Tables};
    let topic = format!("'{BUSY}'");
    let t = topic.as_str();
    let last = "'\u{10ffff}'";
    let [from, before] = TODAY;
    let filter = ["'{exists}'", "'{a}'", "'{null}'"];
    let [steps, names, operands] = filter;
    let none = "NULL";
    let read = |place: &'static str, from: u32| {
        case(
            "read_found",
            Rows(10),
            &[
                t,
                place,
                &ids(from, 10),
                &same("0", 10),
                &numbers(from, 10),
                &same("hot", 10),
                &same("1", 10),
            ],
        )
    };
    vec![
        case("locate_by_reading", Tables(BY_ID), &[&id(1000), t, t]),
        case("locate_indexed", Rows(1), &[&id(112_000), t, t]),
        case("locate_indexed", Rows(4 * 51), &[&id(112_000), "''", last]),
        case("locate_indexed", Rows(4 * 51), &[&id(1000), "''", last]),
        case("locate_ready", Rows(1_000), &[&id(25_001), t, t, "500"]),
        case(
            "locate_ready",
            Rows(3_000),
            &[&id(25_001), "''", last, "500"],
        ),
        case("locate_entry", Rows(1_000), &[&id(25_001), t, t, "500"]),
        read("'ready'", 1000),
        read("'scheduled'", 130_000),
        read("'behind'", 100_100),
        read("'dead'", 301_000),
        read("'kept'", 1000),
        case(
            "search_ready",
            Rows(100),
            &[
                t, "0", "1000", "100", none, "10", steps, names, operands, from, before,
            ],
        ),
        case(
            "search_ready",
            Rows(100),
            &[
                t,
                "-32768",
                "-9223372036854775808",
                "100",
                "'key-1000'",
                "10",
                none,
                none,
                none,
                from,
                before,
            ],
        ),
        case(
            "search_behind",
            Rows(100),
            &[
                t, "'hot'", "110000", "100", none, "10", steps, names, operands, from, before,
            ],
        ),
        case(
            "search_behind",
            Rows(100),
            &[
                t, "''", "0", "100", "'line-7'", "10", none, none, none, from, before,
            ],
        ),
        case(
            "search_scheduled",
            Rows(100),
            &[
                t,
                &id(110_000),
                "100",
                "10",
                none,
                "'no'",
                steps,
                names,
                operands,
                from,
                before,
            ],
        ),
        case(
            "search_dead",
            Rows(100),
            &[
                t,
                &id(301_000),
                "100",
                "10",
                none,
                "'no'",
                steps,
                names,
                operands,
                from,
                before,
                "'no'",
            ],
        ),
        case(
            "search_dead",
            Rows(100),
            &[
                t,
                &id(0),
                "100",
                "10",
                "'dead-100'",
                none,
                none,
                none,
                none,
                from,
                before,
                none,
            ],
        ),
        case(
            "search_kept",
            Rows(100),
            &[
                t, "'{1}'", "40000", "100", "10", none, steps, names, operands, from, before,
            ],
        ),
        case("error_groups", Rows(1_000), &[t, "1000", "10"]),
    ]
}

/// Returns calls of the statements that mend messages, and of those about changes.
pub(super) fn changed() -> Vec<Case> {
    use Bound::{Rows, Tables};
    let topic = format!("'{BUSY}'");
    let t = topic.as_str();
    vec![
        case(
            "edit_dead",
            Rows(1),
            &[t, &id(301_000), "NULL", "'1'", "NULL"],
        ),
        case("hold_dead", Rows(1), &[t, &id(301_000)]),
        case(
            "list_changes",
            Rows(100),
            &[t, "100", "1700000000000000", &id(0)],
        ),
        case(
            "list_changes",
            Rows(100),
            &[
                "NULL",
                "100",
                "NULL",
                "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
            ],
        ),
        case("prune_changes", Tables(BY_HAND), &["90", "100"]),
        case(
            "write_change",
            Rows(1),
            &[
                t,
                &id(900_000),
                "'ada'",
                "NULL",
                "'paused'",
                "NULL",
                "'{}'",
                "NULL",
            ],
        ),
    ]
}
