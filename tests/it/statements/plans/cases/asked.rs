//! What is asked of one message: why it is not handled, or what became of it.

use super::Bound::{Rows, Tables};
use super::{Case, case, id};
use crate::statements::plans::filled::BUSY;

const CATALOGS: &str = "reads the locks and the sessions of the server";

pub(super) fn asked() -> Vec<Case> {
    let topic = format!("'{BUSY}'");
    let t = topic.as_str();
    vec![
        case("lock_members", Tables(CATALOGS), &["'{1,2}'"]),
        case("told_holders", Tables(CATALOGS), &["'{1,2}'", "'{3}'"]),
        case(
            "why_behind",
            Rows(1_001),
            &[t, "'hot'", "120000", &id(220_000), "1001"],
        ),
        case("why_ended", Rows(1), &[&id(26_000)]),
        // As many readers, and a look at each tick of a search.
        case("why_entry", Rows(4 * 200), &[t, &id(25_000), "1", "25000"]),
        case("why_heads", Rows(10), &[t, "'key-100'", "10"]),
        case(
            "why_ready",
            Rows(1_001),
            &[t, "'0'", "30000", &id(30_000), "1001"],
        ),
        case("why_receivers", Rows(1), &[t, "30"]),
        case("why_scheduled", Rows(2 * 101), &[t, &id(140_500), "101"]),
        case("why_still", Rows(1), &[t, "'0'", "30000", &id(30_000)]),
        // As many slots, and leases up to the largest limit.
        case("why_topic", Rows(10_000), &[t, "'rate-100'", &id(100)]),
    ]
}
