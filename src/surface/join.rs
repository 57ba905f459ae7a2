//! The outbox inside a transaction that the caller owns.

use crate::session::lent::{Joined, Lent};
use crate::session::messaging_session::MessagingSession;
use crate::surface::messaging::Messaging;
use crate::words::Result;
use postgres::Transaction;

impl<'c> MessagingSession<'c> {
    /// Makes a session inside a transaction of the caller's own, which commits or rolls it back.
    ///
    /// What is sent is stored at once, in the database that `transaction` belongs to; that must be
    /// one with the schema. A send that the database refuses aborts the transaction, as any failed
    /// statement does. Receivers are not woken, since only the caller knows when it has committed:
    /// call
    /// [`Messaging::wake`] then, or let them poll. Sends nothing itself; dropping the session changes
    /// nothing.
    ///
    /// The [settings](crate::TopicConfig) of topics hold here as in every session. Where this
    /// process read them over a second ago, or never, the first send reads them in `transaction`,
    /// two round trips; a role that may not read them sends without.
    ///
    /// # Errors
    /// None at present: what is wrong with the connection is met by the first statement.
    ///
    /// ```no_run
    /// # use outtray::{Messaging, MessagingSession};
    /// # fn f(messaging: &Messaging, client: &mut postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut transaction = client.transaction()?;
    /// transaction.execute("INSERT INTO orders (id) VALUES (42)", &[])?;
    /// MessagingSession::join(messaging, &mut transaction)?.send_message("orders", &42)?;
    /// transaction.commit()?;
    /// messaging.wake("orders");
    /// # Ok(()) }
    /// ```
    pub fn join(messaging: &'c Messaging, transaction: &'c mut Transaction<'_>) -> Result<Self> {
        let kit = &messaging.base().kit;
        let joined = Joined {
            transaction,
            schema: kit.schema.clone(),
        };
        Ok(MessagingSession::new(kit, Lent::Joined(Box::new(joined))))
    }
}
