//! Polls for completed messages on behalf of every waiting thread in this process.
//!
//! Ends in this process wake those threads directly. Ends in other processes arrive as hints;
//! without hints, one query for all of them repeats with growing pauses.

use crate::completion;
use crate::wake::round::{Polled, Round, Work};
use crate::words::Result;
use std::time::{Duration, Instant};

/// The first pause, for what ends while it is being asked for.
const FIRST: Duration = Duration::from_millis(25);
/// The longest pause.
const LONGEST: Duration = Duration::from_millis(500);
/// The least time between two looks, however many hints come.
const BETWEEN_LOOKS: Duration = Duration::from_millis(3);

/// When to look next; `None` while nobody waits.
#[derive(Debug)]
pub(crate) struct Completions {
    next: Option<Instant>,
    last: Instant,
    pause: Duration,
}

impl Completions {
    pub(crate) fn new() -> Self {
        Completions {
            next: None,
            last: Instant::now(),
            pause: FIRST,
        }
    }

    /// Learns that one more waits.
    pub(crate) fn watch(&mut self) {
        self.pause = FIRST;
        self.soon(FIRST);
    }

    /// Learns that something ended elsewhere.
    pub(crate) fn heard(&mut self) {
        self.soon(Duration::ZERO);
    }

    fn soon(&mut self, wait: Duration) {
        let at = (Instant::now() + wait).max(self.last + BETWEEN_LOOKS);
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

impl Round for Completions {
    fn at(&self) -> Option<Instant> {
        self.next
    }

    /// Looks, and wakes those whose message has ended.
    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        self.next = None;
        self.last = Instant::now();
        let waited_for = work.waker.waiters.ids();
        if waited_for.is_empty() {
            return Ok(());
        }
        // Also after an error: they still wait.
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST);
        self.soon(pause);
        let ended: Vec<_> = completion::outcomes(work.connection, &waited_for)?
            .iter()
            .filter(|outcome| outcome.end.is_some())
            .map(|outcome| outcome.id.0)
            .collect();
        work.waker.waiters.ring(&ended);
        Ok(())
    }

    /// Learns that somebody waits who found no room to say so.
    fn polled(&mut self, _: &Polled, work: &mut Work<'_>) -> Result<()> {
        if self.next.is_none() && !work.waker.waiters.is_empty() {
            self.watch();
        }
        Ok(())
    }
}
