//! Options of a receiver that put code around its handler.

use crate::receive::middleware::Next;
use crate::receive::receivers::builder::ReceiverBuilder;
use crate::session::messaging_session::MessagingSession;
use crate::words::HandlerError;
use crate::words::incoming::Incoming;

impl ReceiverBuilder<'_> {
    /// Puts a middleware around the handler: for timing, tracing, tenants, and whatever else is
    /// the same for many handlers. Default: none, which costs nothing.
    ///
    /// It is called for each message in the handler's place, and calls the handler by
    /// [`next.run(session)`](Next::run), or acks the message without it by
    /// [`next.skip()`](Next::skip). Several nest: the first one added is the outermost. Works for
    /// transactions and leases, receivers and drains, handlers and
    /// [routers](Self::start_router); batches have [`batch_middleware`](Self::batch_middleware).
    ///
    /// It is part of the handler. What it writes and sends through the session commits with the
    /// message, or is undone with it. Its error and its panic are those of a handler, and where
    /// several messages share a transaction each runs through all middleware by itself. It sees
    /// every message that is handed to the handler, also one whose payload does not fit the
    /// handler's type: `next.run` returns that as an error. Messages that are cancelled, expired or
    /// used up before their handler would run are not seen. Under a [lease](Self::lease), the
    /// first statement of a middleware begins the transaction, which then stays open while the
    /// handler runs.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use outtray::{HandlerError, Incoming, Message, MessagingSession, Next};
    /// use std::time::Instant;
    ///
    /// fn timing(
    ///     session: &mut MessagingSession,
    ///     message: &Incoming,
    ///     next: Next,
    /// ) -> Result<(), HandlerError> {
    ///     let started = Instant::now();
    ///     let result = next.run(session);
    ///     println!("{} {}: {:?}", message.topic, message.id, started.elapsed());
    ///     result
    /// }
    ///
    /// let receiver = messaging
    ///     .receiver("orders")
    ///     .middleware(timing)
    ///     .middleware(|session, message, next| match message.headers.contains_key("test") {
    ///         true => next.skip(),
    ///         false => next.run(session),
    ///     })
    ///     .start(|_, order: Message<i64>| Ok(println!("{}", order.payload)))?;
    /// # Ok(()) }
    /// ```
    pub fn middleware<F>(mut self, middleware: F) -> Self
    where
        F: Fn(&mut MessagingSession<'_>, &Incoming<'_>, Next<'_>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.middleware.add(middleware);
        self
    }

    /// Does the same around a handler of batches: it is called for each batch.
    ///
    /// What it does concerns the whole batch: an error or a panic fails each of its messages, and
    /// [`next.skip()`](Next::skip) acks each. The messages are those that the handler is given, and
    /// those whose payloads do not fit its type.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::BatchMessage;
    /// let receiver = messaging
    ///     .receiver("readings")
    ///     .batch_middleware(|session, messages, next| {
    ///         println!("{} readings", messages.len());
    ///         next.run(session)
    ///     })
    ///     .start_batches(500, |_, readings: &[BatchMessage<f64>]| Ok(()))?;
    /// # Ok(()) }
    /// ```
    pub fn batch_middleware<F>(mut self, middleware: F) -> Self
    where
        F: Fn(&mut MessagingSession<'_>, &[Incoming<'_>], Next<'_>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.middleware.add_for_batches(middleware);
        self
    }

    /// Runs `before` for each message before the rest of the middleware and the handler. If it
    /// fails, the handler does not run, and the message has failed as by an error of the handler;
    /// of a batch, all messages.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::{HandlerError, Message};
    /// let receiver = messaging
    ///     .receiver("orders")
    ///     .before(|session, message| {
    ///         let tenant = message.headers.get("tenant");
    ///         let tenant = tenant.ok_or_else(|| HandlerError::reject("no tenant"))?;
    ///         session.execute("SELECT set_config('app.tenant', $1, true)", &[tenant])?;
    ///         Ok(())
    ///     })
    ///     .start(|_, order: Message<i64>| Ok(()))?;
    /// # Ok(()) }
    /// ```
    pub fn before<F>(mut self, before: F) -> Self
    where
        F: Fn(&mut MessagingSession<'_>, &Incoming<'_>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.middleware.add_before(before);
        self
    }

    /// Runs `after` for each message after the handler and the middleware that was added later
    /// returned `Ok`, in the same transaction. If it fails, so does the message, and everything is
    /// undone; of a batch, for all messages.
    ///
    /// It does not run after a failure; a [`middleware`](Self::middleware) can see that. In a batch
    /// it also runs for messages that the handler [failed](crate::BatchMessage::fail) alone.
    pub fn after<F>(mut self, after: F) -> Self
    where
        F: Fn(&mut MessagingSession<'_>, &Incoming<'_>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.middleware.add_after(after);
        self
    }
}
