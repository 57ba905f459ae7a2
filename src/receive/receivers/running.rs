//! Running messages one by one on the caller's thread, and saying what became of each: for tests.
//! It is a drain that keeps a log.

use crate::receive::batch_message::BatchMessage;
use crate::receive::handler;
use crate::receive::ran::Ran;
use crate::receive::receivers::builder::ReceiverBuilder;
use crate::receive::receivers::drain::run_each;
use crate::receive::receivers::routing;
use crate::route::Router;
use crate::session::messaging_session::MessagingSession;
use crate::words::{HandlerError, Message, Result};
use serde::de::DeserializeOwned;

/// How far to run, and where to say what became of each message.
pub(crate) struct RunExtent<'r> {
    /// Whether to end after one message.
    pub(crate) is_single: bool,
    pub(crate) ran: &'r mut Vec<Ran>,
}

impl ReceiverBuilder<'_> {
    /// Runs what is ready or due.
    pub(crate) fn run<T, F>(self, handler: &mut F, runs: RunExtent<'_>) -> Result<()>
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>,
    {
        self.work_with(
            |middleware, session, deliveries| {
                handler::run(handler, middleware, session, deliveries)
            },
            |shared, run| run_each(shared, runs.is_single, runs.ran, run),
        )
    }

    /// The same with a handler of batches.
    pub(crate) fn run_batches<T, F>(
        self,
        size: usize,
        handler: &mut F,
        runs: RunExtent<'_>,
    ) -> Result<()>
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, &[BatchMessage<T>]) -> Result<(), HandlerError>,
    {
        self.work_with_batches(size, handler, |shared, run| {
            run_each(shared, runs.is_single, runs.ran, run)
        })
    }

    /// The same with a router.
    pub(crate) fn run_router(self, router: &Router, runs: RunExtent<'_>) -> Result<()> {
        routing::check(&self.topic, router)?;
        let mut route = routing::routing(router);
        self.work_with(
            |middleware, session, deliveries| {
                handler::run_undecoded(&mut route, middleware, session, deliveries)
            },
            |shared, run| run_each(shared, runs.is_single, runs.ran, run),
        )
    }
}
