//! A message that is charged, or may be, with the failure of its transaction.

use crate::message::claimed::{Claimed, Held};
use crate::message::outcome::Outcome;
use crate::receive::decide::decide;
use crate::receive::handler::Ending;
use crate::receive::options::Terms;
use crate::receive::pending_charges::Mark;
use crate::words::{Error, HandlerError, chain};
use std::sync::Arc;
use std::time::Duration;

const MAX_TRIES: u32 = 600;

/// A message that was in a handler when its transaction failed.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) held: Held,
    /// Deliveries that had failed before it was taken.
    pub(crate) attempts: u32,
    /// Deliveries that ended with the death of their process.
    pub(crate) crashes: u32,
    pub(crate) error: String,
    /// Whether it must not run again: what it did is there.
    pub(crate) is_final: bool,
    /// Whether its handler had others in hand at the same time.
    pub(crate) is_shared: bool,
    /// Whether it shares the check before COMMIT with others.
    pub(crate) is_bundled: bool,
    /// Whether its handler let it fail and kept what was done: that of a batch, of one of its
    /// messages.
    pub(crate) is_kept: bool,
    /// It is left alone for this long, and no attempt is spent.
    pub(crate) aside: Option<Duration>,
    /// How often it could not be written, since others had the message.
    pub(crate) tries: u32,
    /// Keeps the other workers of the receiver from the message until it is written.
    pub(crate) mark: Option<Arc<Mark>>,
}

impl Charge {
    pub(crate) fn of(message: &Claimed, crashes: u32) -> Self {
        Charge {
            held: message.held.clone(),
            attempts: message.attempts,
            crashes,
            error: String::new(),
            is_final: false,
            is_shared: false,
            is_bundled: false,
            is_kept: false,
            aside: None,
            tries: 0,
            mark: None,
        }
    }

    /// Decides what becomes of the message, which is held still, after `error`.
    pub(crate) fn decide(&self, terms: &Terms, error: &Error) -> Outcome {
        let ending = Ending::failed(&HandlerError::failed(chain(error)));
        decide(terms, self.attempts + self.crashes, ending)
    }

    /// To be written another time, unless there were too many.
    pub(crate) fn once_more(mut self) -> Option<Self> {
        self.tries += 1;
        (self.tries < MAX_TRIES).then_some(self)
    }

    /// Sets the message aside instead.
    pub(crate) fn aside(mut self, delay: Duration) -> Self {
        self.aside = Some(delay);
        self
    }
}
