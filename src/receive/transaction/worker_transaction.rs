//! A worker's open transaction, and what all its steps need.
//!
//! Each file of this folder holds one step as methods of [`WorkerTransaction`]: `run` calls them in
//! turn.

use crate::rate_limit::tokens::Allowance;
use crate::receive::shared_state::SharedState;
use crate::receive::worker_state::WorkerState;
use crate::session::handler_session::HandlerSession;
use crate::threads::Stop;
use crate::words::Result;

/// The open transaction of one worker. A flight that commits and begins again goes on with it.
pub(crate) struct WorkerTransaction<'s, 'c, 'h> {
    pub(crate) shared: &'s SharedState,
    pub(crate) session: HandlerSession<'c>,
    pub(crate) state: &'c mut WorkerState<'h>,
    /// How many messages the topic's rate still allows.
    pub(crate) allowance: &'c mut Allowance,
    pub(crate) stop: &'c Stop,
    /// Whether the topic is suspect, which lets no transaction claim in the flight of another.
    pub(crate) is_careful: bool,
}

impl WorkerTransaction<'_, '_, '_> {
    /// Ends a transaction that claimed no message.
    pub(crate) fn end_empty(self) -> Result<()> {
        self.session.end("ending a claim")
    }

    /// Returns whether the receiver stops, or its topic is paused.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_set() || self.shared.is_paused()
    }
}
