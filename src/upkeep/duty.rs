//! What the upkeep does, by name, and what of it fails: each is left alone for a while by itself, and said once.

use crate::wake::pause::Pause;
use crate::words::Error;
use std::collections::HashMap;
use std::time::Instant;

/// What the thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Duty {
    Due,
    Expiry,
    #[cfg(feature = "cron")]
    Recurrences,
    Cancelled,
    Dependents,
    Completions,
    Stalled,
    Poll,
    Presence,
    Prune,
}

impl Duty {
    /// All of them, in the order in which they are done: what hands others their messages comes first.
    pub(crate) const ALL: &'static [Duty] = &[
        Duty::Due,
        Duty::Expiry,
        #[cfg(feature = "cron")]
        Duty::Recurrences,
        Duty::Cancelled,
        Duty::Dependents,
        Duty::Completions,
        Duty::Stalled,
        Duty::Poll,
        Duty::Presence,
        Duty::Prune,
    ];
}

/// The duties that failed when they were done last.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    failing: HashMap<Duty, Trouble>,
}

#[derive(Debug)]
struct Trouble {
    pause: Pause,
    not_before: Instant,
    text: String,
}

impl Troubles {
    /// Returns when a duty may be done that is due at `at`.
    pub(crate) fn put_off(&self, duty: Duty, at: Instant) -> Instant {
        let trouble = self.failing.get(&duty);
        trouble.map_or(at, |trouble| at.max(trouble.not_before))
    }

    /// Notes that a duty was done.
    pub(crate) fn end(&mut self, duty: Duty) {
        self.failing.remove(&duty);
    }

    /// Notes that a duty failed; returns whether to say so. It may fail for hours, and others for the same reason.
    pub(crate) fn note(&mut self, duty: Duty, error: &Error) -> bool {
        let text = error.to_string();
        let is_known = self.failing.contains_key(&duty)
            || self.failing.values().any(|trouble| trouble.text == text);
        let now = Instant::now();
        let trouble = self.failing.entry(duty).or_insert_with(|| Trouble {
            pause: Pause::new(),
            not_before: now,
            text: String::new(),
        });
        trouble.not_before = now + trouble.pause.delay();
        trouble.text = text;
        !is_known
    }
}
