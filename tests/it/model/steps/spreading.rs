//! What can be done with what several get: copies for whoever subscribed, and a log.

use super::op::{Kind, TOPICS};
use fastrand::Rng;

/// What topics subscribe to, sorted.
pub(super) const PATTERNS: [&str; 7] = ["#", "#.b.#", "*", "*.b", "a", "a.#.c", "a.*"];
/// What is published with.
pub(super) const ROUTES: [&str; 5] = ["a", "a.b", "a.b.c", "a.c", "c.b"];
/// By what labels are divided to say which of them a reader rejects.
pub(super) const DIVISOR: usize = 4;

/// An operation; see `Op`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shared {
    /// Publishes a message to whoever subscribed.
    Publish {
        route: usize,
        message: Kind,
        how: Publishing,
    },
    Subscribe {
        topic: usize,
        pattern: usize,
    },
    /// Ends one of the subscriptions, or one that there never was.
    Unsubscribe {
        nth: usize,
    },
    /// Lets the reader of another process read the log to its end. It rejects those whose label
    /// leaves this remainder.
    Read {
        rejects: Option<usize>,
    },
    /// Moves the reader back to the start of the log.
    Rewind,
}

/// How a message is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Publishing {
    Alone,
    /// Twice in one session.
    Twice,
    RolledBack,
    /// By the function for SQL.
    BySql,
}

impl Shared {
    pub(super) fn random(rng: &mut Rng) -> Shared {
        let ways = [
            Publishing::Alone,
            Publishing::Twice,
            Publishing::RolledBack,
            Publishing::BySql,
        ];
        match rng.u8(..19) {
            0..8 => Shared::Publish {
                route: rng.usize(..ROUTES.len()),
                message: Kind {
                    // No log has a key and a delay.
                    is_delayed: false,
                    dedupe: (rng.u8(..3) == 0).then(|| rng.u8(..2)),
                    ..Kind::random(rng)
                },
                how: *rng.choice(&ways).unwrap(),
            },
            8..12 => Shared::Subscribe {
                topic: rng.usize(..TOPICS.len()),
                pattern: rng.usize(..PATTERNS.len()),
            },
            12..15 => Shared::Unsubscribe {
                nth: rng.usize(..100),
            },
            15..18 => Shared::Read {
                rejects: rng.bool().then(|| rng.usize(..DIVISOR)),
            },
            _ => Shared::Rewind,
        }
    }
}
