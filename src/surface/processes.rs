//! Which processes receive, and what their workers handle.

use crate::processes::running::{self, RunningProcess};
use crate::surface::messaging::Messaging;
use crate::words::Result;

impl Messaging {
    /// Returns the processes that receive, on all hosts, with their receivers and what their
    /// workers have in hand: by host and number. Those that only send, drain, or take messages by
    /// hand are not listed.
    ///
    /// A process shows life every 10 s and says then what its workers do, so what is listed may be
    /// that old: [`seen_ago`](RunningProcess::seen_ago). A handler is listed once it has run for a
    /// second, with the ids of its messages; shorter ones are only
    /// [counted](crate::RunningReceiver::in_hand). A process that
    /// [is silent](RunningProcess::is_silent) missed three signs of life.
    ///
    /// Blocks for a connection of the pool and one query, which reads a row for each receiver.
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// for process in messaging.processes()? {
    ///     for receiver in &process.receivers {
    ///         for handler in &receiver.handlers {
    ///             println!(
    ///                 "{:?} {:?}: {} has run for {:?}",
    ///                 process.host, process.pid, handler.ids[0], handler.running_for
    ///             );
    ///         }
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn processes(&self) -> Result<Vec<RunningProcess>> {
        self.in_order(running::processes)
    }
}
