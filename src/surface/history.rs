//! The history of topics, looked into.

use crate::history::ended::EndedMessage;
use crate::history::query::HistoryQuery;
use crate::surface::messaging::Messaging;
use crate::words::Result;

impl Messaging {
    /// Returns how messages ended, the last first, of topics that
    /// [keep](crate::TopicConfig::keep_done) it: those that the query wants. Each page is found by
    /// an index, however long the history is; one of messages that were [done](crate::How::Done)
    /// passes over those that ended otherwise.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::{HistoryQuery, How, Message, Messaging, MessagingSession, TopicConfig};
    /// use std::time::Duration;
    ///
    /// # let server = outtray::testing::Server::start()?;
    /// let messaging = Messaging::connect(&server.database()?)?;
    /// # messaging.migrate()?;
    /// messaging.topic("orders").configure(TopicConfig {
    ///     keep_done: Some(Duration::from_secs(86_400)),
    ///     ..TopicConfig::default()
    /// })?;
    /// let id = messaging.session(|session| Ok(session.send_message("orders", &42)?))?;
    /// messaging.drain("orders", |_: &mut MessagingSession<'_>, _: Message<i32>| Ok(()))?;
    ///
    /// let ended = messaging.history(&HistoryQuery::topic("orders"))?;
    /// assert_eq!((ended[0].id, ended[0].how), (id, How::Done));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Invalid` for a bad name, `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    pub fn history(&self, query: &HistoryQuery) -> Result<Vec<EndedMessage>> {
        self.in_order(|run| query.run(run))
    }
}
