//! Calls of the statements about messages that wait.

#![expect(clippy::too_many_lines, reason = "tables of calls")]

use super::{BY_ID, Bound, Case, WAITED_FOR, case, eighths, id, ids, keys, list, numbers, same};
use crate::statements::plans::filled::BUSY;

/// Returns calls of the statements about what waits for its time, its lease, or others.
pub(super) fn waiting() -> Vec<Case> {
    use Bound::{Pages, Rows, Tables};
    let topic = format!("'{BUSY}'");
    let t = topic.as_str();
    // Leased are those from 110,001 to 120,000; their receipts are the numbers from 10,001 on.
    let lease = [t, &id(112_000), &id(12_000)].map(str::to_owned);
    let lease = [lease[0].as_str(), &lease[1], &lease[2]];
    let topics = same(BUSY, 10);
    let come_after = ids(140_001, 10);
    let none = "'{}'";
    let all = (0..50).map(|n| format!("side-{n}"));
    let all = list(all.chain([BUSY.to_owned()]));
    vec![
        case("ask_leased", Rows(10 * 51), &[&ids(112_000, 10), &all]),
        case("ask_rest", Tables(BY_ID), &[&ids(112_000, 10), &all]),
        case("scheduled_topics", Rows(51), &[]),
        case(
            "bury_lease",
            Rows(1),
            &[t, &id(112_000), "5", "'rejected'", "'no'", "'{}'"],
        ),
        case(
            "cancel_scheduled",
            Pages(
                120_000,
                "by hand: each id in each topic, and what was waited for at once",
            ),
            &[&ids(130_000, 10), "false", &all],
        ),
        case(
            "clear_dependencies",
            Rows(50),
            &[&topics, &come_after, "NULL"],
        ),
        case(
            "clear_dependencies",
            Rows(50),
            &[&topics, &come_after, &ids(1, 10)],
        ),
        case(
            "count_leased",
            Pages(
                25_000,
                "leases of a limited topic are few; not what else is scheduled",
            ),
            &[t, "100"],
        ),
        case(
            "depend",
            Rows(10),
            &[
                &topics,
                &ids(900_000, 10),
                &ids(24_995, 10),
                &same("true", 10),
            ],
        ),
        case("dependents", Rows(10), &[&ids(1000, 10), "1000"]),
        case("end_lease", Rows(1), &lease),
        case(
            "end_leases",
            Rows(10),
            &[t, &ids(112_000, 10), &ids(12_000, 10)],
        ),
        case("expire_scheduled", Rows(100), &["100", none, "'late'"]),
        case(
            "extend_lease",
            Rows(1),
            &[&lease[..], &["60000000"]].concat(),
        ),
        case(
            "give_back_lease",
            Rows(1),
            &[&lease[..], &["1", "1", "NULL"]].concat(),
        ),
        case("end_held_lease", Rows(1), &lease),
        case("group_members", Pages(60_000, WAITED_FOR), &[&id(40_010)]),
        case("group_progress", Pages(60_000, WAITED_FOR), &[&id(40_010)]),
        case("hold_waiting", Rows(1), &[t, &id(130_000)]),
        case("hold_dependents", Rows(10), &[&topics, &come_after]),
        case("hold_free_lease", Rows(1), &lease),
        case("hold_lease", Rows(1), &lease),
        case(
            "keep_wait",
            Rows(10),
            &[&topics, &come_after, &same("1", 10), &same("NULL", 10)],
        ),
        case(
            "line_up_due",
            Rows(10),
            &[&topics, &ids(100_004, 10), &id(900_001)],
        ),
        case("mark_leased", Rows(200), &[&ids(1, 200)]),
        case("move_due", Rows(100), &["100"]),
        case(
            "move_due_between",
            Tables("the caller keeps the planner from sorting"),
            &["100", "'a'", "'c'"],
        ),
        case("next_due", Rows(1), &[]),
        case("next_expiry", Rows(3), &[]),
        case(
            "orphan",
            Rows(50),
            &[&topics, &come_after, "'orphaned'", "NULL"],
        ),
        case(
            "orphan",
            Rows(50),
            &[&topics, &come_after, "'orphaned'", &ids(1, 10)],
        ),
        case(
            "peek_scheduled",
            Pages(600_000, WAITED_FOR),
            &[t, "10", "1000"],
        ),
        case(
            "record_lease",
            Rows(21),
            &[&lease[..], &["'done'", "'process'", "NULL", "NULL"]].concat(),
        ),
        case(
            "postpone_lease",
            Rows(1),
            &[t, &id(112_000), "1", "1000000", "'no'", "'{}'"],
        ),
        case(
            "prolong_lease",
            Rows(3),
            &[&lease[..], &["60000000"]].concat(),
        ),
        case("release", Rows(20), &[&topics, &ids(148_000, 10), "0"]),
        case(
            "schedule",
            Rows(10),
            &[
                &topics,
                &same("0", 10),
                &ids(900_000, 10),
                &same("NULL", 10),
                &same("NULL", 10),
                &same("NULL", 10),
                &same("NULL", 10),
                &same("1", 10),
                &same("NULL", 10),
                &same("1000", 10),
                &same("NULL", 10),
            ],
        ),
        case("waiting_dependents", Rows(100), &[t, &id(141_000), "100"]),
        case(
            "waiting_for_time",
            Pages(50_000, "all of it is to be handled"),
            &[t, &id(130_000), "100"],
        ),
        case(
            "due_by_token",
            Rows(10),
            &[t, &eighths("wait", 24_000), "'over'", "10", "1000000", "5"],
        ),
        case("put_off", Rows(100), &[t, "'wait-2'", "'over'", "100"]),
        case("make_due", Rows(10), &[t, &ids(130_000, 10)]),
        case(
            "begin_in_place",
            Rows(10),
            &[t, &same("0", 10), &numbers(1000, 10), &ids(1000, 10)],
        ),
        case(
            "waiting_in_place",
            Pages(200_000, "all that is ready is handled by then"),
            &[t, "0", "1000", "100"],
        ),
    ]
}

/// Returns calls of the statements about keys.
pub(super) fn keyed() -> Vec<Case> {
    use Bound::{Rows, Tables};
    let topic = format!("'{BUSY}'");
    let t = topic.as_str();
    let topics = same(BUSY, 10);
    let lines = keys("line", 100, 10);
    let said_by = id(900_001);
    let none = "'{}'";
    let sent = |keys: &str| {
        case(
            "send_keyed",
            Rows(100),
            &[
                &topics,
                &same("0", 10),
                &ids(900_000, 10),
                keys,
                &same("NULL", 10),
                &same("NULL", 10),
                &same("NULL", 10),
                &same("1", 10),
                &same("NULL", 10),
            ],
        )
    };
    vec![
        case(
            "cancel_followers",
            Tables(BY_ID),
            &[&ids(226_000, 10), "false"],
        ),
        case(
            "cancel_followers",
            Rows(40),
            &[
                &list([226_005, 226_010, 226_015].map(|n| id(n).replace('\'', ""))),
                "false",
            ],
        ),
        case(
            "expire_followers",
            Rows(10 * 10),
            &[&topics, &lines, none, "'late'", "1000"],
        ),
        case("find_stalled", Rows(4 * 100), &[t, "'line-2'", "100"]),
        case("mark_stalled", Rows(0), &[&topics, &lines, &said_by]),
        case("lock_expired_lanes", Rows(100), &["100"]),
        case("lock_lanes", Rows(10), &[&topics, &lines]),
        case("make_lanes", Rows(10), &[&topics, &lines]),
        case("park", Rows(10), &[t, &lines, "1000"]),
        case("park", Rows(10), &[t, "'{dead-100}'", "1000"]),
        case("promote", Rows(10), &[t, &lines, &said_by]),
        case("promote", Rows(10), &[t, &keys("key", 1000, 10), &said_by]),
        case("promote", Rows(1), &[t, "'{hot}'", &said_by]),
        case("put_back", Rows(10), &[t, &keys("key", 1000, 10)]),
        sent(&lines),
        sent(&keys("key", 1000, 10)),
        sent(&keys("new", 1, 10)),
        sent(&same("hot", 10)),
        case("stalled_keys", Rows(2 * 100), &["100", t, "'key-2'"]),
        case("take_lanes", Rows(10), &[t, &lines, &said_by]),
        case("take_stalled", Rows(20), &[&topics, &lines]),
    ]
    .into_iter()
    .filter(|case| case.statement != "line_keys")
    .collect()
}
