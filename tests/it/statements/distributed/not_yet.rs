//! What does not keep the rules yet. Each still breaks one, so that the lists only shrink.

/// Statements of what a message goes through, by their files.
const OF_MESSAGES: &[&str] = &[];

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
    "end_message",
    "log_move_strays",
    "log_open_segment",
    "log_seal_segment",
    "put_tokens_back",
    "release_dependents",
    "remove_old",
    "spend_tokens",
    "take_dedupe_keys",
];

/// Upkeep and purges, which change messages by less than their keys.
pub(super) const SPANNING: &[&str] = &[];

pub(super) fn is_statement(name: &str) -> bool {
    OF_MESSAGES.contains(&name) || BESIDE.contains(&name)
}

pub(super) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}
