//! What one worker remembers from transaction to transaction.

use crate::receive::charge::Charge;
use crate::receive::handler::Handler;
use crate::receive::lease::deliver::Owed;
use crate::receive::pace::Pace;

/// Whose work COMMIT would have refused.
pub(crate) enum Refused {
    /// The only message of the transaction.
    Only(Charge),
    /// Some of those that share a check.
    Bundle,
}

/// What one worker remembers from transaction to transaction.
pub(crate) struct State<'h> {
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
    /// Whether it is noted what the worker has in hand: to be taken back where the transaction did
    /// not.
    pub(crate) has_noted: bool,
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

impl<'h> State<'h> {
    pub(crate) fn new(
        worker: usize,
        per_transaction: Option<usize>,
        handler: &'h mut Handler<'h>,
    ) -> Self {
        State {
            worker,
            handler,
            pace: Pace::new(per_transaction),
            refusals: 0,
            refused: None,
            entered: Vec::new(),
            stray: Vec::new(),
            charges: Vec::new(),
            has_noted: false,
            look: 0,
            unspent: Vec::new(),
            conflicts: 0,
            reads_settings: false,
            owed: Vec::new(),
        }
    }
}
