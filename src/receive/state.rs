//! What one worker remembers from transaction to transaction.

use crate::receive::charge::Charge;
use crate::receive::lease::deliver::Owed;
use crate::receive::pace::Pace;
use crate::words::message::MessageId;

/// What one worker remembers from transaction to transaction.
pub(crate) struct State {
    /// The worker's number in the crew.
    pub(crate) worker: usize,
    pub(crate) pace: Pace,
    /// How many COMMITs of several messages were refused at this receiver, as far as this worker knows.
    pub(crate) refusals: usize,
    /// The one whose work COMMIT would have refused, undone while it is held still.
    pub(crate) refused: Option<Charge>,
    /// Messages whose handler ran in the open transaction.
    pub(crate) entered: Vec<Charge>,
    /// What was taken in the last transaction, if something of it could not be settled.
    pub(crate) stray: Vec<Charge>,
    /// Messages to be charged with the failure of their transaction, in the next one.
    pub(crate) charges: Vec<Charge>,
    /// The message in hand, if its delivery was counted ahead.
    pub(crate) counted: Option<MessageId>,
    /// Messages whose deliveries ended in a rollback, and whose counts could not be taken back yet.
    pub(crate) uncounted: Vec<MessageId>,
    /// Conflicts in a row.
    pub(crate) conflicts: u32,
    /// Whether nobody else of the process reads the settings of topics: it goes on for no longer than they are fresh.
    pub(crate) reads_settings: bool,
    /// Leases whose end could not be written yet.
    pub(crate) owed: Vec<Owed>,
}

impl State {
    pub(crate) fn new(worker: usize, per_transaction: Option<usize>) -> Self {
        State {
            worker,
            pace: Pace::new(per_transaction),
            refusals: 0,
            refused: None,
            entered: Vec::new(),
            stray: Vec::new(),
            charges: Vec::new(),
            counted: None,
            uncounted: Vec::new(),
            conflicts: 0,
            reads_settings: false,
            owed: Vec::new(),
        }
    }
}
