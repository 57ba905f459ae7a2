//! Tallies: counted by each process, and looked at.

use crate::surface::builder::Builder;
use crate::surface::messaging::Messaging;
use crate::tallies::{self, Tally};
use crate::words::{Result, topic};
use std::time::Duration;

impl Builder {
    /// Sets whether this process counts what becomes of messages, for [`Messaging::tallies`].
    /// Default on: it costs counting in memory for each message, and one statement a minute
    /// where anything happened.
    pub fn tallies(mut self, are_kept: bool) -> Self {
        self.keeps_tallies = are_kept;
        self
    }
}

impl Messaging {
    /// Returns what became of the messages of a topic, or with `None` of those of all topics: one
    /// [`Tally`] for each topic and each minute in which something happened, of those minutes that
    /// began within the time `since`, by topic and minute. The last one is not over yet. Tallies
    /// are kept for 25 hours.
    ///
    /// These are statistics. Each process counts what its receivers and drains handle, what is
    /// settled by hand and what its upkeep ends, and its upkeep writes that once a minute: so the
    /// last minute of other processes may be missing, and a process that is killed takes at most a
    /// minute along. A process that never starts a receiver writes what it counted with this call
    /// and, now and then, at the end of a drain. Sends are not counted: most are made by processes
    /// that have no thread to write it down. Nor is what the SQL functions end, and topics that end
    /// with their holders (replies, ephemeral subscriptions).
    ///
    /// Blocks for a connection of the pool and two round trips at most.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::{Message, Messaging, MessagingSession, testing::Server};
    /// use std::time::Duration;
    ///
    /// # let server = Server::start()?;
    /// let messaging = Messaging::connect(&server.database()?)?;
    /// # messaging.migrate()?;
    /// messaging.session(|session| Ok(session.send_messages("orders", [1, 2, 3])?))?;
    /// messaging.drain("orders", |_: &mut MessagingSession<'_>, _: Message<i32>| Ok(()))?;
    ///
    /// let tallies = messaging.tallies(Some("orders"), Duration::from_secs(3600))?;
    /// assert_eq!(tallies.iter().map(|tally| tally.done).sum::<u64>(), 3);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Invalid` for a bad name, `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn tallies(&self, topic: Option<&str>, since: Duration) -> Result<Vec<Tally>> {
        topic.map_or(Ok(()), topic::check)?;
        self.with_connection(|connection, base| {
            // What this process counted belongs to it. A role that may only look writes nothing.
            let written = tallies::write(connection, &base.process.observers);
            match written {
                Err(error) if connection.is_closed() => Err(error),
                _ => tallies::tallies(connection, topic, since),
            }
        })
    }
}
