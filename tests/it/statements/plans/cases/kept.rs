//! Calls of the statements about what is kept beside messages.

#![expect(clippy::too_many_lines, reason = "tables of calls")]

use super::{BY_ID, Bound, Case, case, id, ids, keys, numbers, same};
use crate::statements::plans::filled::BUSY;

/// Returns calls of the statements about what ended: outcomes, dead letters, requests to give up.
pub(super) fn ended() -> Vec<Case> {
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
pub(super) fn kept() -> Vec<Case> {
    use Bound::{Pages, Rows, Tables};
    let topic = format!("'{BUSY}'");
    let t = topic.as_str();
    let topics = same(BUSY, 10);
    let numbers_1 = same("1", 10);
    let n = numbers_1.as_str();
    let none = "'{}'";
    const MINUTES: &str = "for people: a table of a day's minutes, if it seems to be small";
    const FEW: &str = "reads all of a table that has a row for each topic or receiver";
    const ALL: &str = "reads all subscriptions: what a process keeps";
    // While nobody subscribed by a call.
    const NO_VERSION: &str = "'00000000-0000-0000-0000-000000000000'";
    const COUNTS: &str = "counts, as far as it is told";
    vec![
        case("change_room", Rows(1), &[t, "1"]),
        case("check_subscriptions", Rows(1), &[NO_VERSION]),
        case("look_subscriptions", Tables(ALL), &[&id(1)]),
        case("look_subscriptions", Rows(1), &["NULL"]),
        case("renew_version", Rows(1), &[&id(1)]),
        case("subscribe", Rows(1), &[t, "'p.7'", "NULL", "NULL", "NULL"]),
        case(
            "subscribe",
            Rows(1),
            &[t, "'new'", "'a = b'", "1000", "NULL"],
        ),
        case("subscriptions", Tables(ALL), &[]),
        case("expired_subscriptions", Rows(100), &["100"]),
        case(
            "keep_subscribed",
            Rows(10),
            &[&keys("outtray.ephemeral.", 1, 10)],
        ),
        case("hold_topic", Rows(0), &["'outtray.reply.new'", "1000"]),
        case("orphaned_topics", Rows(10), &["100"]),
        case(
            "remove_expired",
            Rows(10),
            &[&keys("outtray.ephemeral.", 1, 10)],
        ),
        case("unsubscribe_topic", Rows(1), &["'outtray.ephemeral.1'"]),
        case("unsubscribe", Rows(1), &[t, "'p.7'"]),
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
        case("deaths", Rows(10), &[t, &ids(1000, 10), "1", "60"]),
        case("empty_hand", Rows(1), &[t, "1", "1"]),
        case("end_suspicion", Rows(20), &[t]),
        case("enroll", Tables(FEW), &[]),
        case("receivers_seen", Tables(FEW), &[]),
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
        case("find_busy", Tables(FEW), &[t, none]),
        case("find_others", Tables(FEW), &[none, "30"]),
        case("free_locks", Rows(0), &["1", none]),
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
        case("pause_recurring", Rows(1), &["'topic-1'", "'name'"]),
        case(
            "resume_recurring",
            Rows(1),
            &["'topic-1'", "'name'", "1", "'* * * * *'", "'UTC'"],
        ),
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
        case("prune_vacated", Rows(100 + 10), &[&topics, "100"]),
        case(
            "uncounted_topics",
            Tables("walks over all topics"),
            &["100"],
        ),
        case("rewind_workers", Tables(FEW), &["60"]),
        case("suspicion", Rows(1), &[t]),
        case("prune_attempts", Tables(FEW), &["100", "60"]),
        case("prune_history", Rows(1), &[]),
        case(
            "history",
            Rows(100),
            &[t, "0", "253402300800000000", &id(0), "100", "NULL"],
        ),
        case(
            "history_of_how",
            Rows(100),
            &[t, "0", "253402300800000000", &id(0), "100", "'dead'"],
        ),
        case(
            "history_of_id",
            Rows(10),
            &["'000003e8-0000-7000-8000-000000000000'", "10", "NULL"],
        ),
        case(
            "history_of_key",
            Rows(20),
            &[
                t,
                "0",
                "253402300800000000",
                &id(0),
                "100",
                "NULL",
                "'key-100'",
            ],
        ),
        case(
            "add_tallies",
            Rows(10),
            &[&keys("tally", 0, 10), n, n, n, n, n, n],
        ),
        case("all_tallies", Tables(MINUTES), &["3600000000"]),
        case("prune_tallies", Rows(100), &["100", "1500"]),
        case("tallies", Tables(MINUTES), &[t, "3600000000"]),
        case("recount_room", Tables(COUNTS), &[t, "0"]),
        case("recurring", Rows(1), &["'topic-1'"]),
        case("recurring", Tables("all of them"), &["NULL"]),
        case(
            "release_dedupe",
            Rows(10),
            &[&topics, &keys("once", 1000, 10), &ids(1000, 10)],
        ),
        case("remove_recurring", Rows(1), &["'topic-1'", "'name'"]),
        case("reschedule", Rows(1), &["'topic-1'", "'name'", "1", "2"]),
        case("reset_bucket", Rows(1), &[t, "'rate-1000'"]),
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
                "NULL",
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
                "NULL",
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
        case("return_room", Rows(1), &[t, "1", "100000"]),
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
