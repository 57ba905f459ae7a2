//! Why a message is not handled now, or what became of it.

use crate::surface::messaging::Messaging;
use crate::why::answer::Why;
use crate::why::look::answer;
use crate::why::question::WhyQuestion;
use crate::words::{MessageId, Result};

impl Messaging {
    /// Returns why a message is not handled now, or what became of it: where it is, what it waits
    /// for there, what else keeps it, and what would change that. As text ([`Why`] is
    /// [`Display`](std::fmt::Display)) it is one sentence.
    ///
    /// The facts are of one moment ([`asked_at`](Why::asked_at)), and may have changed since.
    /// Nothing is locked to find them out, and nothing changes. What the role of this connection
    /// may not see is [said](Why::not_known), and not guessed. To see the sessions of other roles
    /// whole, grant it `pg_read_all_stats`.
    ///
    /// Costs some ten round trips, and counts up to 1,000 messages ahead of it. A message is found
    /// by its id where an index has it, or by the time that is in its id. One that is found in
    /// neither way, such as one that was not [tracked](crate::NewMessage::tracked) and waits again
    /// after a retry, is searched for by reading the ready messages, for 3 s at most.
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`, `Denied` without the privilege to read the
    /// tables. A message that is not there is no error.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::{Messaging, Obstacle, WhyState, testing::Server};
    ///
    /// # let server = Server::start()?;
    /// # let messaging = Messaging::connect(&server.database()?)?;
    /// # messaging.migrate()?;
    /// let id = messaging.session(|session| Ok(session.send_message("mail", "hello")?))?;
    /// messaging.topic("mail").pause()?;
    ///
    /// let why = messaging.why(id)?;
    ///
    /// assert!(matches!(why.state, WhyState::Ready { .. }));
    /// assert!(matches!(why.obstacles[..], [Obstacle::Paused { .. }, Obstacle::NoReceiver]));
    /// assert!(why.to_string().contains("is ready, but its topic is paused since"));
    /// # Ok(()) }
    /// ```
    pub fn why(&self, id: MessageId) -> Result<Why> {
        self.with_connection(|connection, base| {
            let schema = &base.dedicated.settings().schema;
            answer(connection, &WhyQuestion::of(id, schema))
        })
    }
}
