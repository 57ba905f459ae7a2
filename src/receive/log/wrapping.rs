//! Readers of logs with code around their handlers, or with a router as their handler.

use crate::receive::log::builder::ReaderBuilder;
use crate::receive::middleware::Next;
use crate::receive::receivers::receiver::Receiver;
use crate::receive::receivers::routing::check;
use crate::route::Router;
use crate::session::messaging_session::MessagingSession;
use crate::words::error::Result;
use crate::words::handler_error::HandlerError;
use crate::words::incoming::Incoming;
use crate::words::message::Message;
use crate::words::payload::Payload;
use std::sync::Arc;

impl ReaderBuilder<'_> {
    /// Starts the threads with a [`Router`]: each entry goes to the handlers of its type, one entry
    /// after the other. An entry that fails in one of them, does not fit, or has no match is
    /// narrowed down to and put aside as by [`start`](Self::start).
    ///
    /// # Errors
    /// `Invalid` for what is wrong with the router ([`Router::check`]), before anything is started,
    /// and those of [`start`](Self::start).
    pub fn start_router(self, router: impl Into<Arc<Router>>) -> Result<Receiver> {
        let router = router.into();
        check(&self.log, &router)?;
        self.start(move |session, entries: &[Message<Payload>]| {
            let mut entries = entries.iter();
            entries.try_for_each(|entry| router.route(session, &entry.incoming()))
        })
    }

    /// Puts a middleware around the handler, as for [receivers of
    /// batches](crate::ReceiverBuilder::batch_middleware): it is called with the entries that the
    /// handler is about to get, and calls the handler by `next.run(session)`. Default: none, which
    /// costs nothing. With one, each entry is copied once more.
    ///
    /// After a failure it is called for each part of the batch again, and with a single entry that
    /// was put aside. [`next.skip()`](Next::skip) moves the reader past the entries.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::Message;
    /// let reader = messaging
    ///     .reader("ledger", "billing")
    ///     .middleware(|session, entries, next| {
    ///         println!("{} entries from {:?}", entries.len(), entries[0].log_position());
    ///         next.run(session)
    ///     })
    ///     .start(|_, entries: &[Message<i64>]| Ok(()))?;
    /// # Ok(()) }
    /// ```
    pub fn middleware<F>(mut self, middleware: F) -> Self
    where
        F: Fn(&mut MessagingSession<'_>, &[Incoming<'_>], Next<'_>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.middleware.add_for_batches(middleware);
        self
    }

    /// Runs `before` for each entry before the handler gets them; see
    /// [`ReceiverBuilder::before`](crate::ReceiverBuilder::before). An error fails the batch, which
    /// is then narrowed down to the entry at fault.
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

    /// Runs `after` for each entry after the handler returned `Ok`, in the same transaction; see
    /// [`ReceiverBuilder::after`](crate::ReceiverBuilder::after).
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
