//! Moves scheduled messages to their topics when they are due, and knows when that is next.

use crate::store::run::Run;
use crate::store::schedule::{self, MOVE_LIMIT};
use crate::store::statements::Statements;
use crate::wake::waker::Waker;
use crate::words::Result;
use std::time::{Duration, Instant};

/// The least time between two moves: messages that are due one after the other go together.
const BETWEEN_MOVES: Duration = Duration::from_millis(5);
/// How long messages are left alone that are due and that somebody else has in hand: another process
/// moves them, which takes milliseconds, or an operator's transaction holds them.
const WHILE_HELD: Duration = Duration::from_millis(100);

/// When to look next; nothing while nothing is scheduled.
#[derive(Debug, Default)]
pub(crate) struct Due {
    next: Option<Instant>,
}

impl Due {
    /// Returns when the duty is to be done.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.next
    }

    /// Learns that a message is due after `delay`; an earlier time that is known stays.
    pub(crate) fn learn(&mut self, delay: Duration) {
        if let Some(at) = Instant::now().checked_add(delay) {
            self.next = Some(self.next.map_or(at, |next| next.min(at)));
        }
    }

    /// Moves a batch of what is due, wakes its topics, and finds out when the next is due.
    pub(crate) fn run(
        &mut self,
        run: &mut dyn Run,
        statements: &Statements,
        waker: &Waker,
    ) -> Result<()> {
        let moved = schedule::move_due(run, statements)?;
        for topic in moved.topics {
            waker.ready(&topic, usize::MAX);
        }
        if moved.has_lined_up {
            waker.keys_ended();
        }
        self.next = None;
        if moved.messages >= MOVE_LIMIT {
            self.learn(Duration::ZERO);
        } else if let Some(delay) = schedule::next_due(run, statements)? {
            let is_held = moved.messages == 0 && delay.is_zero();
            self.learn(delay.max(if is_held { WHILE_HELD } else { BETWEEN_MOVES }));
        }
        Ok(())
    }
}
