//! What one worker remembers from transaction to transaction.

use crate::crashes::attempt::{self, Holder};
use crate::db::{Flight, Run};
use crate::leases::Proof;
use crate::message::outcome::Outcome;
use crate::receive::charge::Charge;
use crate::receive::handler::Handler;
use crate::receive::pace::Pace;
use crate::words::Result;
use std::time::Duration;
use uuid::Uuid;

/// Why a worker looks around.
#[derive(Debug)]
pub(crate) enum Worked {
    /// Nothing is ready, or not before this time is over.
    Idle(Option<Duration>),
    /// As many messages as the topic may have are in work: come back after this time, or when
    /// woken.
    UsedUp(Option<Duration>),
    /// There may be more: come back.
    Again,
}

/// A lease whose end could not be written yet.
pub(crate) struct Owed {
    pub(crate) proof: Proof,
    pub(crate) outcome: Outcome,
}

/// Whose work COMMIT would have refused.
pub(crate) enum Refused {
    /// The only message of the transaction.
    Only(Charge),
    /// Some of those that share a check.
    Bundle,
}

/// What one worker remembers from transaction to transaction.
pub(crate) struct WorkerState<'h> {
    /// The worker's number in the crew.
    pub(crate) worker: usize,
    pub(crate) pace: Pace,
    /// What is run for messages.
    pub(crate) handler: &'h mut Handler<'h>,
    /// How many COMMITs of several messages were refused at this receiver, as far as this worker
    /// knows.
    pub(crate) refusals: usize,
    /// Whose work COMMIT would have refused, undone while the messages are held still.
    pub(crate) refused: Option<Refused>,
    /// Messages whose handler ran in the open transaction.
    pub(crate) entered: Vec<Charge>,
    /// What was taken in the last transaction, if something of it could not be settled.
    pub(crate) stray: Vec<Charge>,
    /// Messages to be charged with the failure of their transaction, in the next one.
    pub(crate) charges: Vec<Charge>,
    /// Under which numbers it is noted what the worker has in hand: to be taken back where the
    /// transaction did not.
    pub(crate) noted: Option<Holder>,
    /// How many messages the next claim looks at, if that is more than it takes: those at the head
    /// may not begin.
    pub(crate) look: usize,
    /// Tokens of keys that were taken and not spent.
    pub(crate) unspent: Vec<(String, usize)>,
    /// Conflicts in a row.
    pub(crate) conflicts: u32,
    /// Whether nobody else of the process reads the settings of topics: it goes on for no longer
    /// than they are fresh.
    pub(crate) reads_settings: bool,
    /// Leases whose end could not be written yet.
    pub(crate) owed: Vec<Owed>,
}

impl<'h> WorkerState<'h> {
    pub(crate) fn new(
        worker: usize,
        per_transaction: Option<usize>,
        handler: &'h mut Handler<'h>,
    ) -> Self {
        WorkerState {
            worker,
            handler,
            pace: Pace::new(per_transaction),
            refusals: 0,
            refused: None,
            entered: Vec::new(),
            stray: Vec::new(),
            charges: Vec::new(),
            noted: None,
            look: 0,
            unspent: Vec::new(),
            conflicts: 0,
            reads_settings: false,
            owed: Vec::new(),
        }
    }

    /// Appends the end of what was noted: that nothing is in hand any more, and that these
    /// messages, which saw a death, ended.
    pub(crate) fn push_close(&self, flight: &mut Flight, topic: &str, counted: &[Uuid]) {
        if let Some(holder) = self.noted {
            attempt::push_empty_hand(flight, topic, holder);
        }
        if !counted.is_empty() {
            attempt::push_forget(flight, topic, counted);
        }
    }

    /// Takes back what was noted for a transaction that ended in a rollback, or began nothing.
    pub(crate) fn let_go(&mut self, run: &mut dyn Run, topic: &str) -> Result<()> {
        if let Some(holder) = self.noted {
            attempt::empty_hand(run, topic, holder)?;
            self.noted = None;
        }
        Ok(())
    }
}
