//! Draining: a receiver without threads, whose handler runs on the caller's own.

use crate::receive::batch;
use crate::receive::batch_message::BatchMessage;
use crate::receive::handler::{self, Attempt, Ended, Handler};
use crate::receive::middleware::Middleware;
use crate::receive::options::Options;
use crate::receive::receivers::builder::{ReceiverBuilder, set_up, set_up_batches};
use crate::receive::receivers::drain::{self, Extent};
use crate::receive::shared_state::SharedState;
use crate::session::messaging_session::MessagingSession;
use crate::words::outcome::DrainReport;
use crate::words::panics::CallersValue;
use crate::words::{Error, HandlerError, Message, Result};
use serde::de::DeserializeOwned;

impl ReceiverBuilder<'_> {
    /// Handles the topic's messages on this thread until none is ready or due, and reports what
    /// became of them. For tests and batch jobs; see [`Messaging::drain`](crate::Messaging::drain).
    /// The handler may borrow and change what is around it.
    ///
    /// Under a [`lease`](Self::lease), another thread renews the leases in hand, as for a receiver.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::Message;
    /// let mut total = 0;
    /// messaging.receiver("payments").max_attempts(3).drain(|_, payment: Message<i64>| {
    ///     total += payment.payload;
    ///     Ok(())
    /// })?;
    /// println!("{total} in all");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Invalid` for a bad topic name, a setting out of range, or strict order, which a drain does
    /// not keep; and those of [`Messaging::drain`](crate::Messaging::drain).
    pub fn drain<T, F>(self, handler: F) -> Result<DrainReport>
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>,
    {
        self.drain_extent(Extent::Due, handler)
    }

    /// Does the same, and also makes scheduled messages of the topic due; see
    /// [`Messaging::drain_all`](crate::Messaging::drain_all).
    ///
    /// # Errors
    /// The same as [`drain`](Self::drain).
    pub fn drain_all<T, F>(self, handler: F) -> Result<DrainReport>
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>,
    {
        self.drain_extent(Extent::Scheduled, handler)
    }

    /// Handles the topic's messages on this thread, up to `size` at a time as in
    /// [`start_batches`](Self::start_batches), until none is ready or due.
    ///
    /// # Errors
    /// The same as [`drain`](Self::drain), and `Invalid` as for
    /// [`start_batches`](Self::start_batches).
    pub fn drain_batches<T, F>(self, size: usize, handler: F) -> Result<DrainReport>
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, &[BatchMessage<T>]) -> Result<(), HandlerError>,
    {
        self.drain_batches_extent(Extent::Due, size, handler)
    }

    /// Does the same, and also makes scheduled messages of the topic due; see
    /// [`Messaging::drain_all`](crate::Messaging::drain_all).
    ///
    /// # Errors
    /// The same as [`drain_batches`](Self::drain_batches).
    pub fn drain_all_batches<T, F>(self, size: usize, handler: F) -> Result<DrainReport>
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, &[BatchMessage<T>]) -> Result<(), HandlerError>,
    {
        self.drain_batches_extent(Extent::Scheduled, size, handler)
    }

    fn drain_extent<T, F>(self, extent: Extent, handler: F) -> Result<DrainReport>
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>,
    {
        let mut handler = CallersValue::new(handler);
        self.drain_with(extent, |middleware, session, deliveries| {
            handler::run(&mut *handler, middleware, session, deliveries)
        })
    }

    /// Drains with a handler of single messages, of which it only knows the form.
    pub(crate) fn drain_with<F>(self, extent: Extent, run: F) -> Result<DrainReport>
    where
        F: FnMut(&Middleware, &mut MessagingSession<'_>, &[Attempt<'_>]) -> Ended,
    {
        self.work_with(run, |shared, run| drain::drain(shared, extent, run))
    }

    /// Works on this thread, as `work` does, with a handler of single messages.
    pub(crate) fn work_with<R, F>(
        self,
        mut run: F,
        work: impl for<'h> FnOnce(SharedState, &'h mut Handler<'h>) -> Result<R>,
    ) -> Result<R>
    where
        F: FnMut(&Middleware, &mut MessagingSession<'_>, &[Attempt<'_>]) -> Ended,
    {
        self.middleware.check_one(&self.topic)?;
        check_drain(&self.topic, &self.options)?;
        let shared = set_up(&self.topic, self.base, self.options)?;
        let middleware = CallersValue::new(self.middleware);
        let mut run = |session: &mut MessagingSession<'_>, deliveries: &[Attempt<'_>]| {
            run(&middleware, session, deliveries)
        };
        work(shared, &mut run)
    }

    fn drain_batches_extent<T, F>(
        self,
        extent: Extent,
        size: usize,
        handler: F,
    ) -> Result<DrainReport>
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, &[BatchMessage<T>]) -> Result<(), HandlerError>,
    {
        self.work_with_batches(size, handler, |shared, run| {
            drain::drain(shared, extent, run)
        })
    }

    /// Works on this thread, as `work` does, with a handler of batches.
    pub(crate) fn work_with_batches<T, F, R>(
        self,
        size: usize,
        handler: F,
        work: impl for<'h> FnOnce(SharedState, &'h mut Handler<'h>) -> Result<R>,
    ) -> Result<R>
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, &[BatchMessage<T>]) -> Result<(), HandlerError>,
    {
        self.middleware.check_batches(&self.topic)?;
        check_drain(&self.topic, &self.options)?;
        let shared = set_up_batches(&self.topic, self.base, self.options, size)?;
        let middleware = CallersValue::new(self.middleware);
        let mut handler = CallersValue::new(handler);
        let mut run = |session: &mut MessagingSession<'_>, deliveries: &[Attempt<'_>]| {
            batch::run(&mut *handler, &middleware, session, deliveries)
        };
        work(shared, &mut run)
    }
}

fn check_drain(topic: &str, options: &Options) -> Result<()> {
    if options.is_strict {
        return Err(Error::invalid(format!(
            "topic {topic} cannot be drained in strict order, start a receiver"
        )));
    }
    Ok(())
}
