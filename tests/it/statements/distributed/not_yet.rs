//! What does not keep the rules yet. Each still breaks one, so that the lists only shrink.

/// Statements of what a message goes through, by their files.
const OF_MESSAGES: &[&str] = &[
    "acknowledge",
    "ask_leased",
    "ask_rest",
    "bury",
    "cancel_followers",
    "cancel_ready",
    "cancel_scheduled",
    "end_cancelled",
    "expire_followers",
    "expire_ready",
    "expire_scheduled",
    "find_stalled",
    "lease",
    "line_up_due",
    "lock_expired_lanes",
    "make_due",
    "mark_leased",
    "move_due",
    "move_due_between",
    "park",
    "promote",
    "promote_first",
    "put_back",
    "retry",
    "send_keyed",
    "set_aside",
    "take_stalled",
];

/// Statements of what is beside it.
const BESIDE: &[&str] = &[
    "append_one",
    "clear_dependencies",
    "dead_letters",
    "define_recurring",
    "end_outcomes",
    "end_replies",
    "fold_some_vacated",
    "forget_buckets",
    "forget_outcomes",
    "free_dedupe",
    "free_dedupe_of_dead",
    "keep_subscribed",
    "keep_wait",
    "orphan",
    "prune_attempts",
    "prune_buckets",
    "prune_dead",
    "prune_dedupe",
    "prune_held_dedupe",
    "prune_vacated",
    "purge",
    "purge_dead",
    "redrive",
    "release",
    "release_dedupe",
    "reschedule",
    "reset_bucket",
    "resume",
    "return_tokens",
    "show_life",
    "suspect",
    "take_dedupe",
    "take_dedupe_one",
    "take_tokens",
];

/// Functions, by their names: their own statements, or those of the library that they run.
const FUNCTIONS: &[&str] = &[
    "cancel",
    "end_message",
    "give_up_asked",
    "lease_some",
    "log_move_strays",
    "log_open_segment",
    "log_seal_segment",
    "move_due_now",
    "move_lines",
    "put_tokens_back",
    "release_dependents",
    "remove_old",
    "spend_tokens",
    "store_messages",
    "take_dedupe_keys",
    "take_out_expired",
];

/// Upkeep and purges, which change messages by less than their keys.
pub(super) const SPANNING: &[&str] = &[];

pub(super) fn is_statement(name: &str) -> bool {
    OF_MESSAGES.contains(&name) || BESIDE.contains(&name)
}

pub(super) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}
