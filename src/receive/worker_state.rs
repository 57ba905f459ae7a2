//! Per-worker state that outlives a transaction.

use crate::crashes::attempt::{self, Holder};
use crate::db::{Flight, Run};
use crate::observe::delivered::Deliveries;
use crate::receive::charge::Charge;
use crate::receive::handler::Handler;
use crate::receive::pace::Pace;
use crate::words::sqlstate::is_refusal;
use crate::words::{Error, Result};
use std::time::Duration;
use uuid::Uuid;

/// Why a worker ends its turn on a connection.
#[derive(Debug)]
pub(crate) enum Worked {
    /// No message is ready, or none before this time is over.
    Idle(Option<Duration>),
    /// The topic's limit of messages in work is reached: come back after this time, or when woken.
    UsedUp(Option<Duration>),
    /// There may be more: come back.
    Again,
}

/// Whose work COMMIT would have refused.
pub(crate) enum Refused {
    /// The only message of the transaction.
    Only(Charge),
    /// Some of those that share a check.
    Bundle,
}

/// Per-worker state that outlives a transaction.
pub(crate) struct WorkerState<'h> {
    /// The worker's number among the receiver's workers.
    pub(crate) worker: usize,
    pub(crate) pace: Pace,
    /// The closure that handles messages.
    pub(crate) handler: &'h mut Handler<'h>,
    /// How many refused COMMITs of several messages this worker has seen at its receiver.
    pub(crate) refusals: usize,
    /// Whose work COMMIT would have refused. It was undone while the messages are held.
    pub(crate) refused: Option<Refused>,
    /// Messages whose handler ran in the open transaction.
    pub(crate) entered: Vec<Charge>,
    /// The messages of the last transaction, if it failed.
    pub(crate) stray: Vec<Charge>,
    /// Whether what the last transaction failed at was to settle them, and may have been one that
    /// ran in no handler.
    pub(crate) is_unsettled: bool,
    /// Messages to be charged with the failure of their transaction, in the next one.
    pub(crate) charges: Vec<Charge>,
    /// The row that notes what the worker has in hand, until a commit or
    /// [`let_go`](Self::let_go) empties it.
    pub(crate) noted: Option<Holder>,
    /// How many messages the next claim looks at, if more than it takes because those at the head
    /// may not begin.
    pub(crate) look: usize,
    /// Unspent tokens of keys, and keys of messages that were put off for want of one.
    pub(crate) loose: Vec<(String, usize)>,
    /// Conflicts in a row.
    pub(crate) conflicts: u32,
    /// Whether no other thread of the process reads the settings of topics, so that this worker
    /// must stop when they are no longer fresh.
    pub(crate) reads_settings: bool,
    /// Deliveries that were told to have started.
    pub(crate) deliveries: Deliveries,
    /// How long handlers took since that was counted.
    pub(crate) handled: Duration,
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
            is_unsettled: false,
            charges: Vec::new(),
            noted: None,
            look: 0,
            loose: Vec::new(),
            conflicts: 0,
            reads_settings: false,
            deliveries: Deliveries::default(),
            handled: Duration::ZERO,
        }
    }

    /// Returns whether the database refused to settle messages, be it some that were in no handler,
    /// such as one whose time was over.
    pub(crate) fn take_unsettled(&mut self, error: &Error) -> bool {
        std::mem::take(&mut self.is_unsettled) && is_refusal(error)
    }

    /// Appends statements that empty the note of what is in hand, and that forget the deaths which
    /// these messages, which ended, had seen.
    pub(crate) fn push_close(&self, flight: &mut Flight, topic: &str, counted: &[Uuid]) {
        if let Some(holder) = self.noted {
            attempt::push_empty_hand(flight, topic, holder);
        }
        if !counted.is_empty() {
            attempt::push_forget(flight, topic, counted);
        }
    }

    /// Empties the note of what is in hand after a transaction that was rolled back or handled
    /// none.
    pub(crate) fn let_go(&mut self, run: &mut dyn Run, topic: &str) -> Result<()> {
        if let Some(holder) = self.noted {
            attempt::empty_hand(run, topic, holder)?;
            self.noted = None;
        }
        Ok(())
    }
}
