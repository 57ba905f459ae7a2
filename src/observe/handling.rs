//! The span of a message that is handled by hand.

use crate::observe::spans;
use crate::words::Message;
use tracing::Span;

impl<T> Message<T> {
    /// Makes a span for handling the message, as a receiver makes around its handler: with the
    /// topic, the id and the attempt, and with the feature `opentelemetry` the child of the span in
    /// which the message was sent. What is sent within it belongs to the same trace. For messages
    /// that are taken by hand: a [`Delivery`](crate::Delivery), what a [`Tail`](crate::Tail)
    /// returns, a reply. In a handler it is there already.
    ///
    /// It is made at the level `info` with the target `outtray::handle`. Where nobody looks at
    /// those, it is none, which costs nothing to enter.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use std::time::Duration;
    ///
    /// let mails = messaging.topic("mails");
    /// if let Some(delivery) = mails.receive::<String>(Duration::from_secs(30))? {
    ///     delivery.span().in_scope(|| {
    ///         println!("delivering {:?}", delivery.payload);
    ///         delivery.ack()
    ///     })?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn span(&self) -> Span {
        spans::handle(&self.topic, self.id, self.attempt, &self.headers)
    }
}
