//! The ends of messages taken by hand, in a session's transaction.

use crate::receive::lease::settle::acknowledge_in;
use crate::session::lent::Lent;
use crate::session::messaging_session::MessagingSession;
use crate::session::outbox::Settled;
use crate::store::call::CallMode;
use crate::store::lease::Verdict;
use crate::surface::delivery::{Delivery, Lease};
use crate::words::error::Result;
use std::sync::Arc;

impl MessagingSession<'_> {
    /// Acknowledges a delivery in this session's transaction: what the session writes and sends, and the end of the
    /// message, are one. Any number of them, of the same database. Blocks for a round trip or two.
    ///
    /// When the session is rolled back, the message is leased still: settle it again, or give it back. A
    /// [joined](Self::join) session does not learn what becomes of its transaction: if that is rolled back, the message is
    /// delivered again when its lease ends.
    ///
    /// # Errors
    /// [`LeaseLost`](crate::ErrorKind::LeaseLost): return it, since what is written may be done by somebody else, too. Else
    /// as [`execute`](Self::execute).
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
    pub fn settle<T>(&mut self, delivery: &Delivery<T>) -> Result<()> {
        self.settle_lease(delivery.lease(), None)
    }

    /// The same, with what came of the message.
    pub(crate) fn settle_lease(&mut self, lease: &Lease, result: Option<String>) -> Result<()> {
        lease.check()?;
        let verdict = Verdict::Ack(result);
        let (topic, proof) = (&lease.topic, &lease.proof);
        if !acknowledge_in(self, CallMode::Inline, topic, proof, &verdict)? {
            lease.close();
            return Err(lease.lost());
        }
        // Not to be given back when it is dropped meanwhile: that would wait for this very transaction.
        lease.close();
        if !matches!(self.lent, Lent::Joined(_)) {
            let is_settled = Arc::clone(&lease.is_settled);
            self.outbox
                .note_settled(Settled::new(proof.held.clone(), is_settled));
        }
        Ok(())
    }
}
