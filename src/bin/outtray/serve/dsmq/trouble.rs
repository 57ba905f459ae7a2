//! What a thread does while the database does not answer: it pauses between its tries, and tells
//! operators now and then.

use crate::failure::chain;
use outtray::Error;
use std::thread::park_timeout;
use std::time::{Duration, Instant};

/// Pauses between tries double from the first to the longest.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(50);
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often operators are told that it still does not work.
const COMPLAIN_EVERY: Duration = Duration::from_secs(30);

/// How long it has gone on, and what was said of it.
#[derive(Debug)]
pub(crate) struct DatabaseTrouble {
    pause: Duration,
    complained: Option<Instant>,
}

impl DatabaseTrouble {
    pub(crate) fn none() -> Self {
        DatabaseTrouble {
            pause: FIRST_PAUSE,
            complained: None,
        }
    }

    /// Tells operators, unless they were told a moment ago.
    pub(crate) fn complain(&mut self, what: &str, error: &Error) {
        let at = self.complained;
        if at.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
            self.complained = Some(Instant::now());
            tracing::warn!("{what}, and tries again: {}", chain(error));
        }
    }

    /// Waits a little, longer each time.
    pub(crate) fn wait(&mut self) {
        park_timeout(self.pause);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// Begins with short pauses again.
    pub(crate) fn ease(&mut self) {
        self.pause = FIRST_PAUSE;
    }

    /// It is over. Returns whether operators were told of it.
    pub(crate) fn end(&mut self) -> bool {
        self.ease();
        self.complained.take().is_some()
    }
}
