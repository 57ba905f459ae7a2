//! Upkeep without its thread: whoever takes messages where none may run does the part that makes
//! messages ready. A drain does, and so do those who take messages by hand.

use crate::dependencies::round::release_all;
use crate::keys::stalled::{self, Parking};
use crate::on_end::push_ended;
use crate::schedule;
use crate::wake::round::Work;
use crate::words::Result;

/// Makes messages of all topics ready that are due, or next of their key; returns whether there
/// were any. `give_up` removes what is to be given up: leases may be among what is due whose
/// messages somebody cancelled.
pub(crate) fn catch_up(
    work: &mut Work<'_>,
    give_up: impl FnOnce(&mut Work<'_>) -> Result<()>,
) -> Result<bool> {
    let moved = schedule::move_due(work.connection, None)?;
    if !moved.is_empty() {
        give_up(work)?;
    }
    let parking = Parking {
        push: push_ended,
        observers: &work.waker.observers,
    };
    let tended = stalled::tend_all(work.connection, parking)?;
    let has_moved = !moved.is_empty() || !tended.topics.is_empty();
    let moved = moved.topics.into_iter().map(|(topic, _)| topic);
    let moved_on = tended.topics.into_iter().map(|(topic, _)| topic);
    for topic in moved.chain(moved_on) {
        // Of all topics: others may be received elsewhere.
        work.waker.ready(&topic, usize::MAX);
    }
    Ok(has_moved)
}

/// Looks for what no hint told of: messages of all topics that come after others which have ended,
/// and keys of `topic` that are stuck. Returns whether there may be more to handle now.
pub(crate) fn find_rest(work: &mut Work<'_>, topic: &str) -> Result<bool> {
    Ok(release_all(work)? > 0 || stalled::sweep_topic(work.connection, topic)? > 0)
}
