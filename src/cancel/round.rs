//! Reads which messages are to be cancelled, tells their handlers in this process, and removes
//! messages that came back to their queue before their handler heard of it.

use crate::cancel;
use crate::cancel::ends::{self, ASKED_LIMIT, Cancelling};
use crate::observe::fields::told;
use crate::wake::round::{Polled, Round, Work};
use crate::words::{MessageId, Result, chain, limits};
use std::time::Instant;
use uuid::Uuid;

/// Unasked it takes at most one part in this many of the time.
const SHARE: u32 = 100;

/// When to look next; `None` while there are no requests.
#[derive(Debug, Default)]
pub(crate) struct Cancellations {
    next: Option<Instant>,
    paid_for: Option<Instant>,
}

impl Cancellations {
    /// Learns that there is a new request.
    pub(crate) fn heard(&mut self) {
        self.next = Some(Instant::now());
    }
}

impl Round for Cancellations {
    fn at(&self) -> Option<Instant> {
        self.next
    }

    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        let started = Instant::now();
        let (ids, removed) = hear(work)?;
        if !ids.is_empty() {
            cancel::prune(work.connection, &ids)?;
        }
        // Of those that were refused together, not all may have had their turn.
        let is_part = limits::count(ids.len()) >= ASKED_LIMIT || removed.refused.is_some();
        let may_be_more = is_part && !removed.removed.is_empty();
        self.next = may_be_more.then(Instant::now);
        self.paid_for = Some(Instant::now() + started.elapsed() * SHARE);
        let tracked = removed.tracked();
        if !tracked.is_empty() {
            work.waker.look_at(tracked);
        }
        Ok(())
    }

    fn polled(&mut self, polled: &Polled, work: &mut Work<'_>) -> Result<()> {
        // The last ones that were known are gone by now.
        if polled.has_cancellations || work.waker.asked.has_any() {
            let now = Instant::now();
            let at = self.paid_for.map_or(now, |paid_for| paid_for.max(now));
            self.next.get_or_insert(at);
        }
        Ok(())
    }
}

/// Learns of all messages that are to be given up: tells the handlers of this process, and removes
/// and announces those that wait. Returns the ids, and what was removed.
pub(crate) fn hear(work: &mut Work<'_>) -> Result<(Vec<Uuid>, Cancelling)> {
    let (ids, removed) = ends::remove_asked(work.connection)?;
    if let Some(error) = &removed.refused {
        let why = chain(error);
        tracing::warn!(
            error = told(&why),
            "cancelled messages stay where they are: {why}"
        );
    }
    let asked = ids.iter().copied().map(MessageId);
    work.waker.asked.replace(asked.collect());
    removed.announce(work.waker);
    removed.tell(&work.waker.observers);
    Ok((ids, removed))
}
