//! Handling a topic on the caller's thread: for tests and batch jobs.

use crate::session::messaging_session::MessagingSession;
use crate::surface::messaging::Messaging;
use crate::words::outcome::DrainReport;
use crate::words::{HandlerError, Message, Result};
use serde::de::DeserializeOwned;

impl Messaging {
    /// Handles the messages of a topic on this thread until none is ready or due, and reports what
    /// became of them. For tests and batch jobs. The handler may borrow and change what is around
    /// it, since it is called on this thread only.
    ///
    /// A message that fails is scheduled for later like any other; `drain` does not wait for it
    /// ([`drain_all`](Self::drain_all) does). Nor does it wait for a message that another worker
    /// has in hand. Where others use up the topic's
    /// [`max_in_work`](crate::TopicConfig::max_in_work), it ends after a second, and messages may
    /// still be ready. It waits for a topic that is over its [`rate`](crate::TopicConfig::rate),
    /// but a message whose key is over its rate is scheduled for later.
    ///
    /// The defaults of a receiver apply: 10 attempts, its backoff. For other options use
    /// [`receiver(topic)`](Self::receiver)`.lease(…).drain(…)` and the like. Order is not strict,
    /// and other processes do not notice the death of this one. Several threads may drain the same
    /// topic.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::{Message, Messaging, testing::Server};
    ///
    /// # let server = Server::start()?;
    /// # let messaging = Messaging::connect(&server.database()?)?;
    /// # messaging.migrate()?;
    /// messaging.session(|session| Ok(session.send_messages("numbers", [1, 2, 3])?))?;
    /// let mut seen = Vec::new();
    /// messaging.drain("numbers", |_, message: Message<i32>| Ok(seen.push(message.payload)))?;
    /// assert_eq!(seen, [1, 2, 3]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Invalid` for a bad topic name, `SchemaMissing`; `Unavailable` as soon as the connection
    /// breaks; any kind that occurs more than ten times in a row. What was committed before stays
    /// committed.
    pub fn drain<T, F>(&self, topic: &str, handler: F) -> Result<DrainReport>
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>,
    {
        self.receiver(topic).drain(handler)
    }

    /// Does the same as [`drain`](Self::drain), and whenever no message is ready any more, makes
    /// the topic's scheduled messages due, in the order of their times: delayed messages, retries,
    /// and what handlers send with a delay meanwhile. A message that keeps failing becomes a dead
    /// letter in the end.
    ///
    /// Some messages may remain: those in other hands, those that come after messages that are not
    /// done, and those that were put off without spending an attempt (snoozed, or over the rate of
    /// their key). The last are tried once more, and then left.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::{Message, NewMessage};
    /// # use std::time::Duration;
    /// let three_days = Duration::from_secs(3 * 86_400);
    /// messaging.send(NewMessage::json("mails", &"how was it?")?.delay(three_days))?;
    /// let mut mails = Vec::new();
    /// messaging.drain_all("mails", |_, mail: Message<String>| Ok(mails.push(mail.payload)))?;
    /// assert_eq!(mails, ["how was it?"]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The same as [`drain`](Self::drain).
    pub fn drain_all<T, F>(&self, topic: &str, handler: F) -> Result<DrainReport>
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>,
    {
        self.receiver(topic).drain_all(handler)
    }
}
