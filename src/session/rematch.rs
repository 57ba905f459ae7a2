//! Copies of what was published, in the outbox: taken out and put back when they are made anew.

use crate::completion;
use crate::db::Flight;
use crate::log;
use crate::message::send;
use crate::publish::KnownVersion;
use crate::session::matched::Publication;
use crate::session::outbox::Outbox;
use crate::words::{Error, NewMessage, Outgoing};

/// Entries of logs that travel with a commit, one by one.
const MOST_ENTRIES: usize = 16;

impl Outbox {
    /// Keeps the copies of a message that was matched with subscriptions of `version`: such that it
    /// can be matched again, if it is given.
    pub(super) fn push_matched(
        &mut self,
        version: KnownVersion,
        original: Option<(String, NewMessage)>,
        copies: Vec<Outgoing>,
    ) {
        let before = self.mark();
        for copy in copies {
            self.push(copy);
        }
        self.matched.version = self.matched.version.or(version);
        if let Some((key, message)) = original {
            let after = self.mark();
            self.matched.publications.push(Publication {
                key,
                message,
                before,
                after,
            });
        }
    }

    /// Returns the version that is to be checked; `None` if there is nothing to check.
    pub(super) fn matched_version(&self) -> KnownVersion {
        self.matched.version
    }

    /// Notes that what was published needs no check any more; returns it, the last one first.
    pub(super) fn take_matched(&mut self) -> Vec<Publication> {
        self.matched.version = None;
        let mut publications = std::mem::take(&mut self.matched.publications);
        publications.reverse();
        publications
    }

    /// Notes why what was published cannot be matched anew.
    pub(super) fn break_matched(&mut self, error: &Error) {
        self.matched.broken = Some(Error::new(error.kind(), error.to_string()));
    }

    /// Returns why it could not be.
    pub(super) fn take_broken(&mut self) -> Option<Error> {
        self.matched.broken.take()
    }

    /// Takes out the copies of one. Those of all that came after it were taken out before, and may
    /// be back: that changes no place of this one.
    pub(super) fn take_copies(&mut self, of: &Publication) -> Vec<Outgoing> {
        let (from, to) = (&of.before, &of.after);
        let ready = self.ready.drain(from.ready..to.ready);
        let mut copies: Vec<Outgoing> = ready.collect();
        copies.extend(self.waiting.drain(from.waiting..to.waiting));
        copies.extend(self.entries.drain(from.entries..to.entries));
        self.log.drain(from.log..to.log);
        self.bytes -= bytes(&copies);
        copies
    }

    /// Puts others in their place.
    pub(super) fn put_copies(&mut self, of: &Publication, copies: Vec<Outgoing>) {
        let at = &of.before;
        self.bytes += bytes(&copies);
        // Their ids are younger than those of what was sent after them.
        self.is_out_of_order = true;
        let notes: Vec<_> = copies.iter().map(|copy| self.log_entry(copy)).collect();
        self.log.splice(at.log..at.log, notes);
        let (now, waiting): (Vec<_>, Vec<_>) = copies.into_iter().partition(Outgoing::is_ready);
        let (entries, ready): (Vec<_>, Vec<_>) = now.into_iter().partition(|copy| copy.is_entry);
        self.ready.splice(at.ready..at.ready, ready);
        self.waiting.splice(at.waiting..at.waiting, waiting);
        self.entries.splice(at.entries..at.entries, entries);
    }

    /// Returns whether [`push_all`](Self::push_all) takes what there is.
    pub(super) fn can_fly(&self) -> bool {
        self.waiting.is_empty()
            && self.entries.len() <= MOST_ENTRIES
            && !self.ready.iter().any(Outgoing::is_keyed)
            && !completion::has_tracked(&self.ready)
    }

    /// Appends all that was sent to a flight. It stays here: the flight may have to go again.
    pub(super) fn push_all(&self, flight: &mut Flight) {
        send::push_sends(flight, &self.ready);
        for entry in &self.entries {
            log::append::push_append(flight, entry);
        }
    }
}

fn bytes(copies: &[Outgoing]) -> usize {
    copies.iter().map(|copy| copy.message.content.len()).sum()
}
