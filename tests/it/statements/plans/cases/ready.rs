//! Calls of the statements about ready messages.

#![expect(clippy::too_many_lines, reason = "tables of calls")]

use super::{BY_ID, Bound, Case, case, id, ids, list, numbers, same};
use crate::statements::plans::filled::BUSY;

/// What is kept of an attempt, as an item of an array.
const FAILURE: &str = "\"{}\"";

/// Returns calls of the statements about ready messages.
pub(super) fn ready() -> Vec<Case> {
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
        case(
            "end_recorded",
            Rows(64 * 2),
            &[
                t,
                &zeros(64),
                &places,
                "'done'",
                "'process'",
                "1000",
                none,
                none,
            ],
        ),
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
            // The settings of the topic are looked up for each.
            Rows(110),
            &[
                t,
                &zeros(10),
                &numbers(1000, 10),
                &same("5", 10),
                &same("rejected", 10),
                &same("no", 10),
                &same(FAILURE, 10),
            ],
        ),
        case(
            "forget_removed",
            Rows(10),
            &[&same(BUSY, 10), &ids(1000, 10)],
        ),
        case("cancel_ready", Tables(BY_ID), &[&ids(1000, 10), "false"]),
        case(
            "cancel_ready",
            Rows(60),
            &[
                &list([5, 10, 15, 1000, 2000].map(|n| id(n).replace('\'', ""))),
                "false",
            ],
        ),
        case("claim", Rows(64), &claim),
        case("look_replies", Rows(64), &claim),
        case("refuse_dead", Rows(10), &[t, &ids(301_000, 10)]),
        case(
            "end_replies",
            Rows(64),
            &[t, &zeros(64), &places, &ids(1000, 64)],
        ),
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
        case("list_following", Rows(64), &[t, "0", "1000", "64"]),
        case("list_following", Rows(64), &["'side-7'", "0", "0", "64"]),
        case(
            "estimate",
            Tables("reads a sample of pages"),
            &[t, "4000", "true", "true", "true", "true"],
        ),
        case(
            "estimate_backlogs",
            Tables("reads a sample of pages"),
            &["4000"],
        ),
        case(
            "backlogs",
            Rows(9 * 100),
            &[&list([BUSY, "nobody"]), "100", "100"],
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
        case("missing", Tables(BY_ID), &[&ids(1000, 10)]),
        case("peek", Rows(200), &[t, "100"]),
        case("poll", Rows(10 + 200), &[&list([BUSY, "side-1", "nobody"])]),
        case(
            "postpone_head",
            Rows(1),
            &[t, "0", "1000", "1", "1000000", "'{}'"],
        ),
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
                &same(FAILURE, 10),
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
        case("topics", Rows(500 + 4 * 60), &["''", "9223372036854775807"]),
        case("topics", Rows(8 * 51), &["'t'", "51"]),
    ]
}
