//! What an examination asks, and what pages of the dashboard do: with a limit of time, and without
//! scans of whole tables where an index serves.

use super::Bound::Tables;
use super::{Case, case, list};
use crate::statements::plans::filled::BUSY;

const CATALOGS: &str = "reads catalogs and statistics of the server";
const BY_HAND: &str = "by hand: reads few topics, receivers and keys, each by an index";

pub(super) fn examined() -> Vec<Case> {
    vec![
        case("advisory_holders", Tables(CATALOGS), &[]),
        case("connection_room", Tables(CATALOGS), &[]),
        case("held_slots", Tables(CATALOGS), &[]),
        case("keys_held", Tables(BY_HAND), &[]),
        case("lacking_privileges", Tables(CATALOGS), &["'outtray'"]),
        case("long_transactions", Tables(CATALOGS), &["600000"]),
        case("lost_outcomes", Tables(BY_HAND), &[]),
        case("old_prepared", Tables(CATALOGS), &["600000", "false"]),
        case("overdue", Tables(BY_HAND), &[]),
        case("own_sight", Tables(CATALOGS), &[]),
        case("paused_backlogs", Tables(BY_HAND), &["10000"]),
        case("receivers", Tables(BY_HAND), &["30"]),
        case("role_settings", Tables(CATALOGS), &["'fsync'"]),
        case("server_facts", Tables(CATALOGS), &["'outtray'"]),
        case("server_time", Tables(CATALOGS), &[]),
        case("spent_sequences", Tables(CATALOGS), &["'outtray'"]),
        case("standby_feedback", Tables(CATALOGS), &["600000"]),
        case("suspects", Tables(BY_HAND), &[]),
        case("synchronous_standbys", Tables(CATALOGS), &[]),
        case("table_waste", Tables(CATALOGS), &["'outtray'"]),
        case("topics_waiting", Tables(BY_HAND), &[]),
        case("unheeded", Tables(BY_HAND), &["600000"]),
        case(
            "recent_tallies",
            Tables("the tallies of a few minutes of each topic"),
            &[&list([BUSY, "nobody"]), "5"],
        ),
        case("sum_tallies", Tables("what is summed up"), &["0", "60"]),
        case(
            "stuck_keys",
            Tables("skips through the keys of dead letters"),
            &["'busy'", "1000"],
        ),
        case(
            "limits_in_use",
            Tables("what was vacated is summed up"),
            &[&list([BUSY, "nobody"])],
        ),
    ]
}
