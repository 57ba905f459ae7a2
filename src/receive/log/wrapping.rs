//! Options of a reader of a log that put code around its handler.

use crate::receive::log::builder::ReaderBuilder;
use crate::receive::middleware::Next;
use crate::session::messaging_session::MessagingSession;
use crate::words::handler_error::HandlerError;
use crate::words::incoming::Incoming;

impl ReaderBuilder<'_> {
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
