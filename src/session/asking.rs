//! Statements of ours that are part of a session.

use crate::db::Run;
use crate::session::messaging_session::MessagingSession;
use crate::words::Result;

impl MessagingSession<'_> {
    /// Runs statements of ours in the session's transaction, which begins now if it has not.
    pub(crate) fn ask<T>(&mut self, ask: impl FnOnce(&mut dyn Run) -> Result<T>) -> Result<T> {
        self.transaction.ask(ask)
    }
}
