//! Handling a topic on the caller's thread: for tests and batch jobs.

use crate::session::messaging_session::MessagingSession;
use crate::surface::messaging::Messaging;
use crate::words::Result;
use crate::words::handler_error::HandlerError;
use crate::words::message::Message;
use crate::words::outcome::DrainReport;
use serde::de::DeserializeOwned;

impl Messaging {
    /// Handles the messages of a topic on this thread until none is ready or due, and says what
    /// became of them. For tests and batch jobs. The handler may borrow and change what is around
    /// it: it is called on this thread only.
    ///
    /// A message that fails is scheduled for later like any other, and not waited for
    /// ([`drain_all`](Self::drain_all) goes on with those); nor is one that another worker has in
    /// hand, also where others use up the [`max_in_work`](crate::TopicConfig::max_in_work) of the
    /// topic: then it ends after a second, and messages may be ready still. A topic over its
    /// [`rate`](crate::TopicConfig::rate) is waited for; a message whose key is over its rate is scheduled for later, and not
    /// waited for. The defaults of a receiver hold: 10 attempts, its backoff;
    /// [`receiver(topic)`](Self::receiver)`.lease(…).drain(…)` and the like for others. Order is
    /// not strict, and the death of this process is not noticed by others. Several threads may
    /// drain the same topic.
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
    /// breaks; any kind that comes up more than ten times in a row. What was committed before stays
    /// so.
    pub fn drain<T, F>(&self, topic: &str, handler: F) -> Result<DrainReport>
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>,
    {
        self.receiver(topic).drain(handler)
    }

    /// Does the same as [`drain`](Self::drain), and makes due what is scheduled in the topic when
    /// nothing is ready any more, by when it would have been due: delays, retries, and what
    /// handlers send with a delay meanwhile. A message that goes on failing is a dead letter at the
    /// end.
    ///
    /// What is left is in other hands, comes after messages that are not done, or was put off
    /// without an attempt spent (snoozed, or over the rate of its key): such a message is tried
    /// once more, and then left.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::{Message, NewMessage};
    /// # use std::time::Duration;
    /// let reminder = NewMessage::json("mails", &"how was it?")?.delay(Duration::from_secs(3 * 86_400));
    /// messaging.send(reminder)?;
    /// let mut mails = Vec::new();
    /// messaging.drain_all("mails", |_, mail: Message<String>| Ok(mails.push(mail.payload)))?;
    /// assert_eq!(mails, ["how was it?"]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`drain`](Self::drain).
    pub fn drain_all<T, F>(&self, topic: &str, handler: F) -> Result<DrainReport>
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>,
    {
        self.receiver(topic).drain_all(handler)
    }
}
