//! The outbox inside a transaction that the caller owns.

use crate::session::messaging_session::MessagingSession;
use crate::surface::messaging::Messaging;
use crate::words::Result;
use postgres::Transaction;

impl<'c> MessagingSession<'c> {
    /// Makes a session inside a transaction of your own, which you commit or roll back.
    ///
    /// Each send is stored at once, in the database of `transaction`, which must have the schema. A
    /// send that the database refuses aborts the transaction, as any failed statement does.
    /// Receivers are not woken, since only the caller knows when the transaction has committed:
    /// call [`Messaging::wake`] then, or let them poll. Making or dropping the session changes
    /// nothing.
    ///
    /// The [settings](crate::TopicConfig) of topics apply as in every session. Where this process
    /// read them more than a second ago, or never, the first send reads them in `transaction`, with
    /// two round trips. A role that may not read them sends without them.
    ///
    /// # Errors
    /// None at present: the first statement reports what is wrong with the connection.
    ///
    /// ```no_run
    /// # use outtray::{Messaging, MessagingSession};
    /// # type Done = Result<(), Box<dyn std::error::Error>>;
    /// # fn f(messaging: &Messaging, client: &mut postgres::Client) -> Done {
    /// let mut transaction = client.transaction()?;
    /// transaction.execute("INSERT INTO orders (id) VALUES (42)", &[])?;
    /// MessagingSession::join(messaging, &mut transaction)?.send_message("orders", &42)?;
    /// transaction.commit()?;
    /// messaging.wake("orders");
    /// # Ok(()) }
    /// ```
    pub fn join(messaging: &'c Messaging, transaction: &'c mut Transaction<'_>) -> Result<Self> {
        Ok(MessagingSession::joined(
            &messaging.base().process,
            transaction,
        ))
    }
}
