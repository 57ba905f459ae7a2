//! Receivers and drains whose handler is a router.

use crate::receive::handler;
use crate::receive::receivers::builder::ReceiverBuilder;
use crate::receive::receivers::drain::Extent;
use crate::receive::receivers::receiver::Receiver;
use crate::route::Router;
use crate::session::messaging_session::MessagingSession;
use crate::words::incoming::Incoming;
use crate::words::outcome::DrainReport;
use crate::words::{Error, HandlerError, Result};
use std::sync::Arc;

impl ReceiverBuilder<'_> {
    /// Starts the threads with a [`Router`]: each message goes to the handlers of its type. A
    /// router that several receivers share is given as an [`Arc`].
    ///
    /// # Errors
    /// `Invalid` for what is wrong with the router ([`Router::check`]), before anything is started,
    /// and those of [`start`](Self::start).
    pub fn start_router(self, router: impl Into<Arc<Router>>) -> Result<Receiver> {
        let router = router.into();
        check(&self.topic, &router)?;
        self.start_with(|middleware| {
            Box::new(move |session, deliveries| {
                let mut route = routing(&router);
                handler::run_undecoded(&mut route, &middleware, session, deliveries)
            })
        })
    }

    /// Handles the topic's messages on this thread by a router until none is ready or due; see
    /// [`drain`](Self::drain).
    ///
    /// # Errors
    /// `Invalid` for what is wrong with the router, and those of [`drain`](Self::drain).
    pub fn drain_router(self, router: &Router) -> Result<DrainReport> {
        self.drain_router_extent(Extent::Due, router)
    }

    /// Does the same, and also makes scheduled messages of the topic due; see
    /// [`Messaging::drain_all`](crate::Messaging::drain_all).
    ///
    /// # Errors
    /// The same as [`drain_router`](Self::drain_router).
    pub fn drain_all_router(self, router: &Router) -> Result<DrainReport> {
        self.drain_router_extent(Extent::Scheduled, router)
    }

    fn drain_router_extent(self, extent: Extent, router: &Router) -> Result<DrainReport> {
        check(&self.topic, router)?;
        let mut route = routing(router);
        self.drain_with(extent, |middleware, session, deliveries| {
            handler::run_undecoded(&mut route, middleware, session, deliveries)
        })
    }
}

/// Checks a router that is to handle messages of a topic.
pub(crate) fn check(topic: &str, router: &Router) -> Result<()> {
    router
        .check()
        .map_err(|error| Error::invalid(format!("topic {topic}: {error}")))
}

/// Returns the router as a handler of messages that are not decoded.
pub(crate) fn routing(
    router: &Router,
) -> impl FnMut(&mut MessagingSession<'_>, &Incoming<'_>) -> Result<(), HandlerError> {
    |session, message| router.route(session, message)
}
