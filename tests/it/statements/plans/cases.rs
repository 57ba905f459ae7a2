//! Each statement of the store with parameters as they are in use, and how much it may touch for
//! them.

#![expect(clippy::too_many_lines, reason = "tables of calls")]

use super::filled::BUSY;
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
pub(super) fn cases() -> Vec<Case> {
    let mut cases = ready();
    cases.extend(waiting());
    cases.extend(keyed());
    cases.extend(ended());
    cases.extend(kept());
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

/// Returns calls of the statements about ready messages.
fn ready() -> Vec<Case> {
    use Bound::{Pages, Rows, Tables};
    let topic = format!("'{BUSY}'");
    let t = topic.as_str();
    let zeros = |count| same("0", count);
    let places = numbers(1000, 64);
    let span = [t, "'{0}'", "'{20000}'", "'{1}'"];
    let claim = [&span[..], &["64"]].concat();
    let none = "'{}'";
    vec![
        case("acknowledge", Rows(64), &[t, &zeros(64), &places]),
        case("acknowledge_one", Rows(1), &[t, "0", "1000"]),
        case("ask_held", Tables(BY_ID), &[&ids(1000, 10)]),
        case(
            "ask_held",
            Rows(10),
            &[&list(
                [5, 10, 15, 1000, 2000].map(|n| id(n).replace('\'', "")),
            )],
        ),
        case(
            "bury",
            Rows(10),
            &[
                t,
                &zeros(10),
                &numbers(1000, 10),
                &same("5", 10),
                &same("rejected", 10),
                &same("no", 10),
            ],
        ),
        case("cancel_ready", Tables(BY_ID), &[&ids(1000, 10), "false"]),
        case(
            "cancel_ready",
            Rows(10),
            &[
                &list([5, 10, 15, 1000, 2000].map(|n| id(n).replace('\'', ""))),
                "false",
            ],
        ),
        case("claim", Rows(64), &claim),
        case(
            "claim_filtered",
            Tables("walks over what does not match"),
            &[&claim[..], &["'{exists}'", "'{a}'", "'{null}'"]].concat(),
        ),
        case(
            "claim_head",
            Tables("looks at all stalled keys of a topic"),
            &[t],
        ),
        case(
            "end_cancelled",
            Pages(
                30_000,
                "may look through all requests, which are few, for each",
            ),
            &[t, &zeros(64), &places],
        ),
        case("claim_head", Rows(1), &["'side-7'"]),
        case(
            "estimate",
            Tables("reads a sample of pages"),
            &[t, "4000", "true", "true", "true", "true"],
        ),
        case("expire_ready", Rows(100), &["100", none, "'late'"]),
        case("identity", Tables("one of the server's own"), &[]),
        case("is_known", Rows(1), &[t, "true"]),
        case("is_known", Rows(9), &["'nobody'", "false"]),
        case("hold", Rows(1), &[t, "0", "1000", &id(1000)]),
        case("holders", Rows(1), &["'{700,701}'"]),
        case(
            "lease",
            Rows(64),
            &[&claim[..], &["60000000", "NULL", "NULL", "NULL"]].concat(),
        ),
        case("peek", Rows(200), &[t, "100"]),
        case("poll", Rows(10 + 200), &[&list([BUSY, "side-1", "nobody"])]),
        case("postpone_head", Rows(1), &[t, "0", "1000", "1", "1000000"]),
        case(
            "queued_matching",
            Tables("headers have no index"),
            &[t, "'{exists}'", "'{a}'", "'{null}'"],
        ),
        case(
            "retry",
            Rows(10),
            &[
                t,
                &zeros(10),
                &numbers(1000, 10),
                &same("1", 10),
                &same("1000000", 10),
                &same("no", 10),
            ],
        ),
        case(
            "send",
            Rows(10),
            &[
                &same(BUSY, 10),
                &zeros(10),
                &ids(900_000, 10),
                &same("NULL", 10),
                &same("1", 10),
                &same("NULL", 10),
            ],
        ),
        case(
            "send_full",
            Rows(10),
            &[
                &same(BUSY, 10),
                &zeros(10),
                &ids(900_000, 10),
                &same("NULL", 10),
                &same("1", 10),
                &same("1", 10),
                &same("NULL", 10),
                &same("1", 10),
                &same("NULL", 10),
            ],
        ),
        case(
            "send_one",
            Rows(1),
            &[t, "0", &id(900_000), "NULL", "'1'", "NULL"],
        ),
        case("topics", Rows(500 + 4 * 60), &[]),
    ]
}

/// Returns calls of the statements about what waits for its time, its lease, or others.
fn waiting() -> Vec<Case> {
    use Bound::{Pages, Rows, Tables};
    let topic = format!("'{BUSY}'");
    let t = topic.as_str();
    // Leased are those from 110,001 to 120,000; their receipts are the numbers from 10,001 on.
    let lease = [t, &id(112_000), &id(12_000)].map(str::to_owned);
    let lease = [lease[0].as_str(), &lease[1], &lease[2]];
    let topics = same(BUSY, 10);
    let come_after = ids(140_001, 10);
    let none = "'{}'";
    vec![
        case("ask_leased", Rows(10 * 51), &[&ids(112_000, 10)]),
        case("ask_rest", Tables(BY_ID), &[&ids(112_000, 10)]),
        case(
            "bury_lease",
            Rows(1),
            &[t, &id(112_000), "5", "'rejected'", "'no'"],
        ),
        case(
            "cancel_scheduled",
            Pages(
                120_000,
                "by hand: each id in each topic, and what was waited for at once",
            ),
            &[&ids(130_000, 10), "false"],
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
        case("expire_scheduled", Rows(100), &["100", none, "'late'"]),
        case(
            "extend_lease",
            Rows(1),
            &[&lease[..], &["60000000"]].concat(),
        ),
        case(
            "give_back_lease",
            Rows(1),
            &[&lease[..], &["1", "1"]].concat(),
        ),
        case("end_held_lease", Rows(1), &lease),
        case("group_members", Pages(60_000, WAITED_FOR), &[&id(40_010)]),
        case("group_progress", Pages(60_000, WAITED_FOR), &[&id(40_010)]),
        case("hold_waiting", Rows(1), &[t, &id(130_000)]),
        case("hold_dependents", Rows(10), &[&topics, &come_after]),
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
            "postpone_lease",
            Rows(1),
            &[t, &id(112_000), "1", "1000000", "'no'"],
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
        case("make_due", Rows(10), &[t, &ids(130_000, 10)]),
    ]
}

/// Returns calls of the statements about keys.
fn keyed() -> Vec<Case> {
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
            Rows(10),
            &[
                &list([226_005, 226_010, 226_015].map(|n| id(n).replace('\'', ""))),
                "false",
            ],
        ),
        case(
            "expire_followers",
            Rows(10 * 10),
            &[&topics, &lines, none, "'late'"],
        ),
        case(
            "find_stalled",
            Rows(4 * 100),
            &[&said_by, t, "'line-2'", "100"],
        ),
        case("lock_expired_lanes", Rows(100), &["100"]),
        case("lock_lanes", Rows(10), &[&topics, &lines]),
        case("make_lanes", Rows(10), &[&topics, &lines]),
        case("park", Rows(10), &[t, &lines]),
        case("park", Rows(10), &[t, "'{dead-100}'"]),
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

/// Returns calls of the statements about what ended: outcomes, dead letters, requests to give up.
fn ended() -> Vec<Case> {
    use Bound::{Rows, Tables};
    let topic = format!("'{BUSY}'");
    let t = topic.as_str();
    let dead = ids(301_000, 10);
    let topics = same(BUSY, 10);
    vec![
        case("cancellations", Rows(200), &["100"]),
        case("dead_letters", Rows(100), &[t, "100", "NULL", "NULL"]),
        case("dead_letters", Rows(10), &[t, "10", &dead, "NULL"]),
        case("dead_letters", Rows(10), &[t, "10", "NULL", "'dead-100'"]),
        case(
            "prune_dead",
            Rows(100),
            &[t, "3600000", "100", &id(900_001)],
        ),
        case("dead_topics", Rows(4 * 60), &[]),
        case(
            "end_outcomes",
            Rows(10),
            &[t, &ids(1000, 10), &same("done", 10), &same("1", 10)],
        ),
        case(
            "forget_outcomes",
            Rows(10 * 3),
            &[&topics, &ids(25_001, 10)],
        ),
        case("hold_outcomes", Rows(10), &[&ids(1000, 10)]),
        case("old_outcomes", Rows(400), &["100"]),
        case("outcomes", Rows(10), &[&ids(1000, 10)]),
        case("prune_cancellations", Tables(BY_ID), &[&ids(1, 10), "60"]),
        case(
            "track",
            Rows(10),
            &[
                &topics,
                &ids(900_000, 10),
                &same("1000", 10),
                &same("NULL", 10),
            ],
        ),
    ]
}

/// Returns calls of the other statements: what topics, receivers and senders keep.
fn kept() -> Vec<Case> {
    use Bound::{Pages, Rows, Tables};
    let topic = format!("'{BUSY}'");
    let t = topic.as_str();
    let topics = same(BUSY, 10);
    let none = "'{}'";
    const FEW: &str = "reads all of a table that has a row for each topic or receiver";
    const COUNTS: &str = "counts, as far as it is told";
    vec![
        case("change_room", Rows(1), &[t, "1"]),
        case("clock", Rows(0), &[]),
        case("own_transaction", Rows(0), &[]),
        case("standing", Rows(0), &["'1'"]),
        case(
            "end_holder",
            Tables("asks about backends"),
            &[t, "0", "1000", "1", "1"],
        ),
        case("end_processes", Tables("asks about backends"), &[]),
        case("longest_at_work", Tables("asks about backends"), &[]),
        case("look_at_processes", Tables("asks about backends"), &[]),
        case("deaths", Rows(10), &[t, &ids(1000, 10), "1", "1", "60"]),
        case("empty_hand", Rows(1), &[t, "1", "1"]),
        case("end_suspicion", Rows(20), &[t]),
        case("enroll", Tables(FEW), &[]),
        case("forget_attempts", Tables(FEW), &[t, &ids(1000, 10)]),
        case(
            "hold_again",
            Rows(10),
            &[
                t,
                &same("0", 10),
                &numbers(1000, 10),
                &ids(1000, 10),
                &same("0", 10),
            ],
        ),
        case("hold_in_turn", Rows(1), &[t, "0", "1000", &id(1000)]),
        case("find_again", Rows(10_000), &[t, "0", &id(1000)]),
        case("horizon", Rows(1000), &[t]),
        case("note_shift", Rows(1), &[t, "1", "1"]),
        case(
            "promote_first",
            Tables("looks at all stalled keys of a topic"),
            &[t],
        ),
        case(
            "purge",
            Tables("removes slices of a topic"),
            &[t, "10", &id(1)],
        ),
        case(
            "purge_dead",
            Rows(10),
            &[t, &ids(301_000, 10), "NULL", &id(0), "1000", &id(1)],
        ),
        case(
            "purge_dead",
            Rows(10),
            &[t, "NULL", "'dead-100'", &id(0), "1000", &id(1)],
        ),
        case(
            "purge_dead",
            Rows(100),
            &[t, "NULL", "NULL", &id(0), "100", &id(1)],
        ),
        case(
            "redrive",
            Rows(40),
            &[t, &ids(301_000, 10), "NULL", &id(0), "1000", &id(1)],
        ),
        case(
            "redrive",
            Rows(40),
            &[t, "NULL", "'dead-100'", &id(0), "1000", &id(1)],
        ),
        case("show_life", Tables(FEW), &[]),
        case("sign_off", Tables(FEW), &[]),
        case("suspect", Tables(FEW), &[]),
        case("take_in_hand", Rows(1), &[t, "1", "1", &ids(1, 3), "false"]),
        case("config_access", Rows(0), &[]),
        case("configs", Tables(FEW), &[]),
        case(
            "configure",
            Tables("is about all keys of a topic"),
            &[t, "'{\"max_in_work_per_key\": 2}'", &id(900_000), "true"],
        ),
        case(
            "configure",
            Rows(1),
            &[t, "'{\"poisoned_key\": \"park\"}'", &id(900_000), "false"],
        ),
        case("count_room", Tables(COUNTS), &[t, "100000"]),
        case(
            "count_room",
            Pages(200_000, "a bounded topic has little more than is counted"),
            &[t, "100"],
        ),
        case(
            "define_recurring",
            Rows(1),
            &[
                "'topic-1'",
                "'name'",
                "'0 0 * * *'",
                "'UTC'",
                "'skip'",
                "0",
                "NULL",
                "NULL",
                "NULL",
                "'1'",
                "NULL",
                "1",
                "NULL",
            ],
        ),
        case("change_dedupe", Rows(1), &[t, "'once-1000'", "1000000"]),
        case("drop_liveness", Rows(0), &["1", "1"]),
        case("due_recurring", Rows(1), &[none, none]),
        case("ensure_room", Rows(1), &[t]),
        case("ensure_slots", Rows(100), &[t, "100"]),
        case("ensure_turn", Rows(1), &[t]),
        case("find_vanished", Tables(FEW), &["1", none, "30"]),
        case("fold_vacated", Tables("all of it is summed up"), &[t]),
        case(
            "forget_buckets",
            Tables("removes all of a topic"),
            &[t, "false"],
        ),
        case("forget_buckets", Rows(1), &[t, "true"]),
        case("forget_dedupe", Rows(1), &[t, "'once-1000'"]),
        case("forget_room", Rows(1), &[t]),
        case("free_dedupe", Rows(10), &[t, &ids(1000, 10)]),
        case("free_dedupe_of_dead", Rows(1), &[t, &id(301_000)]),
        case("hold_liveness", Rows(0), &["1", none]),
        case(
            "known_dedupe",
            Rows(10),
            &[&topics, &keys("once", 1000, 10)],
        ),
        case("lock_config", Rows(1), &[t]),
        case("lock_room", Rows(1), &[t]),
        case("look_room", Tables("all of it is summed up"), &[t]),
        case("next_recurring", Rows(1), &[none, none]),
        case("notify", Rows(0), &["'channel'", "'{t}'"]),
        case("pause", Rows(1), &[t]),
        case(
            "correct_recurring",
            Rows(1),
            &["'topic-1'", "'name'", "1", "2"],
        ),
        case(
            "crowded_rooms",
            Tables("walks over all topics and what it has to count"),
            &["100"],
        ),
        case(
            "distant_recurring",
            Rows(200),
            &["'topic-1'", "'name'", "100"],
        ),
        case("fold_some_vacated", Rows(100), &[t, "100"]),
        case("prune_buckets", Tables(FEW), &["100"]),
        case("prune_dedupe", Rows(100), &["100"]),
        // Each is looked up in five tables.
        case("prune_held_dedupe", Rows(500), &[&id(1000), "100"]),
        case("prune_vacated", Tables("walks over all topics"), &["100"]),
        case("rewind_workers", Tables(FEW), &["60"]),
        case("suspicion", Rows(1), &[t]),
        case("prune_attempts", Tables(FEW), &["100", "60"]),
        case("recount_room", Tables(COUNTS), &[t, "100", "0"]),
        case("recurring", Rows(1), &["'topic-1'"]),
        case("recurring", Tables("all of them"), &["NULL"]),
        case(
            "release_dedupe",
            Rows(10),
            &[&topics, &keys("once", 1000, 10), &ids(1000, 10)],
        ),
        case("remove_recurring", Rows(1), &["'topic-1'", "'name'"]),
        case("reschedule", Rows(1), &["'topic-1'", "'name'", "1", "2"]),
        case("reset_bucket", Rows(1), &[t, "'rate-1000'", "'over'"]),
        case("resume", Rows(1), &[t]),
        case(
            "return_tokens",
            Rows(10),
            &[t, &keys("rate", 1000, 10), &same("1", 10), "10", "1000000"],
        ),
        case(
            "send_deduped",
            Rows(1),
            &[
                t,
                "0",
                &id(900_000),
                "NULL",
                "'1'",
                "NULL",
                "'once-1000'",
                "1000000",
            ],
        ),
        case(
            "send_deduped",
            Rows(1),
            &[
                t,
                "0",
                &id(900_000),
                "NULL",
                "'1'",
                "NULL",
                "'new-1'",
                "1000000",
            ],
        ),
        case("stats", Rows(6 * 100), &[t, "100"]),
        case(
            "take_dedupe",
            Rows(20),
            &[
                &topics,
                &keys("once", 1000, 10),
                &ids(900_000, 10),
                &same("1000000", 10),
            ],
        ),
        case(
            "take_dedupe",
            Rows(20),
            &[
                &topics,
                &keys("new", 1000, 10),
                &ids(900_000, 10),
                &same("1000000", 10),
            ],
        ),
        case(
            "take_dedupe_one",
            Rows(1),
            &[t, "'once-1000'", &id(900_000), "1000000"],
        ),
        case("take_free_slots", Rows(100), &[t, "100"]),
        case("take_room", Rows(1), &[t, "1", "100000"]),
        case("take_slots", Rows(20), &[t, "100", "10", "3"]),
        case(
            "take_tokens",
            Rows(10),
            &[
                t,
                &keys("rate", 1000, 10),
                &same("1", 10),
                "10",
                "1000000",
                "10",
            ],
        ),
        case("take_turn", Rows(1), &[t]),
        case("vacate", Rows(1), &[t, "1"]),
    ]
}
