//! The subscriptions as this process last read them.

use crate::publish::index::{Index, Readable};
use crate::publish::{FRESH, KnownVersion, Seen, Stored};
use crate::threads::mutex::Mutex;
use crate::words::{Error, chain};
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// For how long publishes ask before they match after subscriptions had changed in between. Without
/// it, a handler's transaction could run again and again while others subscribe all the time.
const CAREFUL: Duration = Duration::from_secs(1);

/// What this process knows about subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(Mutex<Known>);

/// A subscription that was set aside.
pub(crate) struct Unreadable {
    /// Its topic and its pattern.
    name: (String, String),
    error: Error,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (topic, pattern) = (self.name.0.escape_debug(), self.name.1.escape_debug());
        let why = chain(&self.error);
        write!(
            f,
            "the subscription of topic \"{topic}\" to \"{pattern}\" gets nothing, since it cannot be read: {why}"
        )
    }
}

#[derive(Debug, Default)]
struct Known {
    index: Option<Arc<Index>>,
    /// Before when nobody had asked yet that the version is still this one.
    asked_at: Option<Instant>,
    /// Until when what is known is not relied on.
    careful_until: Option<Instant>,
    /// The topics and patterns of those that cannot be read, as far as that was told.
    told: HashSet<(String, String)>,
}

impl Subscriptions {
    /// Returns what is known, if it was read or checked a moment ago.
    pub(crate) fn fresh(&self) -> Option<Arc<Index>> {
        let known = self.0.lock();
        let is_fresh = known.asked_at.is_some_and(|at| at.elapsed() < FRESH);
        let is_careful = known
            .careful_until
            .is_some_and(|until| Instant::now() < until);
        known.index.clone().filter(|_| is_fresh && !is_careful)
    }

    /// Returns what is known, however old.
    pub(crate) fn known(&self) -> Option<Arc<Index>> {
        self.0.lock().index.clone()
    }

    /// Learns what was answered to somebody who knew `before` and began to ask at `asked_at`;
    /// returns what is there, and what of it cannot be read and was not told before.
    pub(crate) fn learn(
        &self,
        before: Option<Arc<Index>>,
        seen: Seen,
        asked_at: Instant,
    ) -> (Arc<Index>, Vec<Unreadable>) {
        let (index, unreadable) = match (seen.all, before) {
            (None, Some(before)) => (before, Vec::new()),
            (all, _) => {
                let (readable, unreadable) = self.readable(all.unwrap_or_default());
                (Arc::new(Index::new(seen.version, readable)), unreadable)
            }
        };
        self.keep(&index, asked_at);
        (index, unreadable)
    }

    /// Learns that a check which began at `asked_at` found this version in place.
    pub(crate) fn checked(&self, version: Option<Uuid>, asked_at: Instant) {
        let mut known = self.0.lock();
        let is_same = known.index.as_ref().map(|index| index.version()) == Some(version);
        if is_same && known.asked_at.is_none_or(|at| at < asked_at) {
            known.asked_at = Some(asked_at);
        }
    }

    /// Learns that a check failed: they had changed after somebody matched.
    pub(crate) fn failed(&self) {
        let mut known = self.0.lock();
        known.asked_at = None;
        known.careful_until = Some(Instant::now() + CAREFUL);
    }

    /// Has the next publish ask: this process changed them.
    pub(crate) fn outdate(&self) {
        self.0.lock().asked_at = None;
    }

    /// Keeps what was asked for last. Each answer was right at some time after it was asked for.
    fn keep(&self, index: &Arc<Index>, asked_at: Instant) {
        let mut known = self.0.lock();
        if known.asked_at.is_none_or(|at| at <= asked_at) {
            known.index = Some(Arc::clone(index));
            known.asked_at = Some(asked_at);
        }
    }

    /// Returns those that can be read. Each other one is set aside alone, and returned once.
    fn readable(&self, all: Vec<Stored>) -> (Vec<Readable>, Vec<Unreadable>) {
        let mut known = self.0.lock();
        let before = std::mem::take(&mut known.told);
        let (mut readable, mut unreadable) = (Vec::with_capacity(all.len()), Vec::new());
        for stored in all {
            match stored.check() {
                Ok(filter) => readable.push(Readable {
                    pattern: stored.pattern,
                    topic: stored.topic,
                    filter,
                }),
                Err(error) => {
                    let name = (stored.topic, stored.pattern);
                    known.told.insert(name.clone());
                    if !before.contains(&name) {
                        unreadable.push(Unreadable { name, error });
                    }
                }
            }
        }
        (readable, unreadable)
    }
}

/// Returns the version of what is known.
pub(crate) fn version(known: Option<&Arc<Index>>) -> KnownVersion {
    known.map(|index| index.version())
}
