//! How the messages of a transaction share it: which are handled alone and which together, and who
//! shares the check before COMMIT.

use crate::message::claimed::Claimed;
use crate::receive::claim::Taken;
use crate::receive::options::MAX_PER_TRANSACTION;
use crate::session::savepoint::Check;

/// The messages of a transaction, by how they are handled.
pub(crate) struct Split<'a> {
    /// Messages that are handled one after the other.
    pub(crate) alone: Vec<&'a Claimed>,
    /// Messages that are handled in one call, after the others.
    pub(crate) together: Vec<&'a Claimed>,
    /// The most messages that are handled alone.
    pub(crate) most_alone: usize,
    max_attempts: u32,
    /// Whether most messages have to go alone although batches are wanted.
    pub(crate) is_thin: bool,
}

impl<'a> Split<'a> {
    pub(crate) fn of(
        batch: Option<usize>,
        max_attempts: u32,
        messages: Vec<&'a Claimed>,
        taken: &Taken,
    ) -> Self {
        let is_bundled = |message: &&Claimed| !is_last_attempt(message, taken, max_attempts);
        if batch.is_none() {
            let mut alone = messages;
            // Stable: those with one attempt left go first.
            alone.sort_by_key(is_bundled);
            return Split {
                alone,
                together: Vec::new(),
                most_alone: MAX_PER_TRANSACTION,
                max_attempts,
                is_thin: false,
            };
        }
        let may_fail = max_attempts > 1;
        let (together, mut alone): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| may_fail && message.attempts + taken.crashes(message) == 0);
        alone.sort_by_key(is_bundled);
        Split {
            is_thin: alone.len() > together.len(),
            alone,
            together,
            // The batch takes a savepoint, too.
            most_alone: MAX_PER_TRANSACTION - 1,
            max_attempts,
        }
    }
}

/// How a message shares its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// The message is the only one.
    Only,
    /// The message shares the transaction and the check before COMMIT.
    Bundled,
    /// The message shares the transaction but not the check, because it must not fail twice.
    Alone,
    /// The same, in a second run after the work of a shared check was undone.
    Again,
}

impl Sharing {
    pub(crate) fn of(message: &Claimed, taken: &Taken, split: &Split<'_>) -> Self {
        if split.alone.len() == 1 && split.together.is_empty() {
            return Sharing::Only;
        }
        match is_last_attempt(message, taken, split.max_attempts) {
            true => Sharing::Alone,
            false => Sharing::Bundled,
        }
    }

    pub(crate) fn check(self) -> Check {
        match self {
            Sharing::Only => Check::Only,
            Sharing::Bundled => Check::Bundled,
            Sharing::Alone | Sharing::Again => Check::Alone,
        }
    }
}

/// Returns whether a message has one attempt left.
fn is_last_attempt(message: &Claimed, taken: &Taken, max_attempts: u32) -> bool {
    message.attempts + taken.crashes(message) + 1 >= max_attempts
}
