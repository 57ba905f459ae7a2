//! Finding what a failover lost.

use crate::surface::messaging::Messaging;
use crate::topics::missing::missing;
use crate::words::{MessageId, Result};
use uuid::Uuid;

/// Ids that are looked for at a time.
const AT_A_TIME: usize = 10_000;

impl Messaging {
    /// Returns which of `ids` this database has no trace of, in their order: such messages are
    /// neither ready, in work, delayed, behind others or dead letters, nor entries of a log, nor is
    /// it recorded how they ended.
    ///
    /// This is for after a failover to a standby that may lack the latest commits: of the messages
    /// that senders were told had been sent, it finds those that were lost. How a message ended is
    /// recorded for [tracked](crate::NewMessage::tracked) ones, as long as their outcome is kept.
    /// Others leave no trace when they are done but in the tables that their handlers write, so
    /// take those away first whose effects are there.
    ///
    /// Reads the tables of messages as a whole, once for each 10,000 ids, and takes no locks.
    ///
    /// # Errors
    /// `SchemaMissing`, `Unavailable`, `PoolExhausted`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use outtray::{MessageId, Messaging, testing::Server};
    ///
    /// # let server = Server::start()?;
    /// # let messaging = Messaging::connect(&server.database()?)?;
    /// # messaging.migrate()?;
    /// let sent = messaging.session(|session| Ok(session.send_message("mail", "hello")?))?;
    /// let lost: MessageId = "01890a5d-ac96-774b-bcce-b302099a8057".parse()?;
    /// assert_eq!(messaging.missing(&[sent, lost])?, [lost]);
    /// # Ok(()) }
    /// ```
    pub fn missing(&self, ids: &[MessageId]) -> Result<Vec<MessageId>> {
        let mut found = Vec::new();
        self.with_connection(|connection, _| {
            for some in ids.chunks(AT_A_TIME) {
                let some: Vec<Uuid> = some.iter().map(|id| id.0).collect();
                found.extend(missing(connection, &some)?.into_iter().map(MessageId));
            }
            Ok(())
        })?;
        Ok(found)
    }
}
