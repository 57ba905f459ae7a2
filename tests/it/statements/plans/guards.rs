//! What the planner is kept from where statements run.

/// What it is kept from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// Nothing.
    Free,
    /// Reading tables as a whole, and collecting rows before they are read in order.
    Rows,
    /// Reading tables as a whole: in flights (`db::flight`), and on connections of upkeep.
    Tables,
    /// The same, and sorting: where the first of many rows are looked at (`Messaging::in_order`,
    /// `why`).
    Order,
    /// Sorting: claims.
    Head,
}

impl Guard {
    pub(super) const ALL: [Guard; 5] = [
        Guard::Free,
        Guard::Rows,
        Guard::Tables,
        Guard::Order,
        Guard::Head,
    ];

    /// Returns where a statement is called.
    pub(super) fn of(statement: &str) -> Guard {
        match statement {
            "claim" | "claim_filtered" | "look_replies" => Guard::Head,
            "acknowledge" | "end_replies" | "refuse_dead" | "send_keyed" => Guard::Rows,
            _ if IN_FLIGHTS.contains(&statement) => Guard::Tables,
            _ if IN_ORDER.contains(&statement) => Guard::Order,
            _ => Guard::Free,
        }
    }

    /// Returns where a statement is planned whose plan is kept.
    pub(super) fn of_kept(statement: &str) -> Guard {
        match KEPT_IN_FLIGHTS.contains(&statement) {
            true => Guard::Tables,
            false => Guard::of(statement),
        }
    }

    pub(super) fn settings(self) -> &'static str {
        match self {
            Guard::Free => "",
            Guard::Rows => "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off",
            Guard::Tables => {
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
                SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
            }
            Guard::Order => {
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
                SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
                SET LOCAL enable_sort = off; SET LOCAL jit = off"
            }
            Guard::Head => "SET LOCAL enable_sort = off",
        }
    }
}

const IN_FLIGHTS: &[&str] = &[
    "acknowledge_one",
    "cancellations",
    "claim_head",
    "clear_dependencies",
    "correct_recurring",
    "dependents",
    "distant_recurring",
    "due_recurring",
    "end_leases",
    "end_outcomes",
    "expire_followers",
    "expire_ready",
    "expire_scheduled",
    "find_stalled",
    "fold_some_vacated",
    "forget_outcomes",
    "free_dedupe",
    "hold_dependents",
    "horizon",
    "keys_aside",
    "lane_place",
    "lease",
    "line_up_due",
    "list_following",
    "lock_expired_lanes",
    "lock_lane",
    "mark_leased",
    "move_due",
    "move_due_between",
    "move_place",
    "next_due",
    "next_expiry",
    "next_recurring",
    "old_outcomes",
    "orphan",
    "outcomes",
    "park",
    "poll",
    "promote",
    "prune_dead",
    "prune_dedupe",
    "prune_held_dedupe",
    "prune_tallies",
    "prune_ticks",
    "prune_vacated",
    "put_back",
    "end_recorded",
    "release",
    "stalled_keys",
    "suspicion",
    "take_lanes",
    "take_stalled",
    "vacate",
    "waiting_dependents",
    "subscribe",
    "unsubscribe",
    "expired_subscriptions",
    "keep_subscribed",
    "orphaned_topics",
    "remove_expired",
    "unsubscribe_topic",
];

/// Statements that are kept where they travel in flights, with such settings, although they have no
/// need of them for what statistics say.
const KEPT_IN_FLIGHTS: [&str; 12] = [
    "bury_lease",
    "end_held_lease",
    "end_lease",
    "extend_lease",
    "give_back_lease",
    "hold_again",
    "hold_free_lease",
    "hold_lease",
    "postpone_lease",
    "prolong_lease",
    "take_dedupe",
    "take_dedupe_one",
];

const IN_ORDER: [&str; 39] = [
    "backlogs",
    "count_entries",
    "dead_letters",
    "dead_topics",
    "edit_dead",
    "error_groups",
    "estimate_backlogs",
    "hold_dead",
    "history",
    "history_of_how",
    "history_of_id",
    "history_of_key",
    "is_known",
    "list_changes",
    "locate_entry",
    "locate_indexed",
    "locate_ready",
    "newest_entries",
    "peek",
    "purge_dead",
    "put_off",
    "read_found",
    "redrive",
    "search_behind",
    "search_dead",
    "search_kept",
    "search_ready",
    "search_scheduled",
    "stats",
    "topics",
    "why_behind",
    "why_ended",
    "why_entry",
    "why_heads",
    "why_ready",
    "why_receivers",
    "why_scheduled",
    "why_still",
    "why_topic",
];
