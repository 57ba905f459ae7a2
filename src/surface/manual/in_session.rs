//! Settling a message taken by hand in a session's transaction.

use crate::receive::lease::acknowledge::acknowledge_in;
use crate::session::messaging_session::MessagingSession;
use crate::session::undo_settled::UndoSettled;
use crate::surface::manual::receipt::Receipt;
use crate::wake::news::DoneByHand;
use crate::words::Result;
use std::sync::Arc;

impl MessagingSession<'_> {
    /// Acknowledges a delivery, or the message of a [`Receipt`], in this session's transaction:
    /// what the session writes and sends, and the end of the message, commit together. A session
    /// may settle any number of deliveries of the same database. Blocks for one or two round trips.
    ///
    /// When the session is rolled back, the message is still leased: settle it again, or give it
    /// back. A [joined](Self::join) session does not learn how its transaction ends: if that is
    /// rolled back, the message is delivered again when its lease ends.
    ///
    /// # Errors
    /// [`LeaseLost`](crate::ErrorKind::LeaseLost): return it from the session, since somebody else
    /// may do the same work too. Otherwise the same as [`execute`](Self::execute).
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use std::time::Duration;
    ///
    /// let orders = messaging.topic("orders").receive_batch::<i64>(100, Duration::from_secs(60))?;
    /// messaging.session(|session| {
    ///     for order in &orders {
    ///         session.execute("INSERT INTO orders (id) VALUES ($1)", &[&order.payload])?;
    ///         session.settle(order)?;
    ///     }
    ///     Ok(())
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn settle(&mut self, delivery: &impl AsRef<Receipt>) -> Result<()> {
        self.settle_receipt(delivery.as_ref(), None)
    }

    /// The same, with what came of the message.
    pub(crate) fn settle_receipt(
        &mut self,
        receipt: &Receipt,
        result: Option<String>,
    ) -> Result<()> {
        receipt.check()?;
        let (topic, proof) = (&receipt.topic, &receipt.proof);
        if !acknowledge_in(self, topic, proof, result)? {
            receipt.close();
            return Err(receipt.lost());
        }
        // Not to be given back when it is dropped meanwhile: that would wait for this very
        // transaction.
        receipt.close_for_now();
        self.note_settled(|| {
            let done = DoneByHand {
                topic: Arc::clone(topic),
                id: receipt.id(),
                delivered: receipt.delivered,
            };
            UndoSettled::new(proof.held.clone(), done, Arc::clone(&receipt.is_settled))
        });
        Ok(())
    }
}
