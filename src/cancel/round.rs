//! Reads which messages are to be cancelled, tells their handlers in this process, and removes
//! messages that came back to their queue before their handler heard of it.

use crate::cancel;
use crate::cancel::ends::{self, Cancelling};
use crate::connect::connection::Connection;
use crate::wake::waker::Waker;
use crate::words::Result;
use crate::words::message::MessageId;
use std::time::Instant;

/// Unasked it takes at most one part in this many of the time.
const SHARE: u32 = 100;

/// When to look next; `None` while there are no requests.
#[derive(Debug, Default)]
pub(crate) struct Cancelled {
    next: Option<Instant>,
    paid_for: Option<Instant>,
}

impl Cancelled {
    pub(crate) fn at(&self) -> Option<Instant> {
        self.next
    }

    /// Learns that there is a new request.
    pub(crate) fn heard(&mut self) {
        self.next = Some(Instant::now());
    }

    /// Learns that there are requests, old or new; or none.
    pub(crate) fn polled(&mut self, has_requests: bool, waker: &Waker) {
        // The last ones that were known are gone by now.
        if has_requests || waker.asked.has_any() {
            let now = Instant::now();
            let at = self.paid_for.map_or(now, |paid_for| paid_for.max(now));
            self.next.get_or_insert(at);
        }
    }

    /// Looks, tells and removes. Returns what was removed.
    pub(crate) fn run(&mut self, connection: &mut Connection, waker: &Waker) -> Result<Cancelling> {
        let started = Instant::now();
        let (ids, removed) = ends::remove_asked(connection)?;
        if !ids.is_empty() {
            cancel::prune(connection, &ids)?;
        }
        self.next = None;
        waker
            .asked
            .replace(ids.into_iter().map(MessageId).collect());
        self.paid_for = Some(Instant::now() + started.elapsed() * SHARE);
        Ok(removed)
    }
}
