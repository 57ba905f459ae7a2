//! The end of a worker's session under a lease: one flight settles it and commits what the handler
//! did.

use crate::db::Flight;
use crate::session::commit::{not_stored, swallowed};
use crate::session::handler_session::HandlerSession;
use crate::session::messaging_session::MessagingSession;
use crate::wake::news::News;
use crate::words::wrapped::unwrapped;
use crate::words::{Result, SideEffects, classify};

impl HandlerSession<'_> {
    /// Begins the flight that ends the message of the only part and commits, with a few messages
    /// that were sent; more are stored before. The transaction begins now if it has not.
    pub(crate) fn last_flight_of_lease(&mut self) -> Result<Flight> {
        let MessagingSession {
            transaction,
            outbox,
            ..
        } = &mut self.session;
        if transaction.side_effects.any(&[SideEffects::FAILED]) {
            return Err(swallowed());
        }
        if let Some(error) = outbox.take_broken() {
            return Err(error);
        }
        transaction.enter()?;
        transaction.state.begun()?;
        let restored = transaction.restore();
        restored.map_err(|error| not_stored(classify(error, "committing")))?;
        self.session.settle_published()?;
        let MessagingSession {
            transaction,
            outbox,
            ..
        } = &mut self.session;
        let own = transaction.state.own()?;
        let mut flight = own.flight();
        if !outbox.push_few(&mut flight) {
            outbox.store_last(own).map_err(not_stored)?;
        }
        outbox.room.push_return(&mut flight);
        Ok(flight)
    }

    /// Sends the flight that [`last_flight_of_lease`](Self::last_flight_of_lease) began, and ends
    /// the session with its transaction. Returns whom to wake, also after an error: it may have
    /// come after the COMMIT.
    pub(crate) fn commit_lease(mut self, last: Flight) -> (Result<()>, News) {
        let flown = self.fly_lease(last);
        if flown.is_err() {
            return (flown, self.sent());
        }
        let news = self.news();
        self.committed();
        (flown, news)
    }

    fn fly_lease(&mut self, last: Flight) -> Result<()> {
        let own = self.session.transaction.state.own()?;
        let flown = own.fly(last);
        let warned = own.cache.warned();
        let flown = flown.map_err(|error| match unwrapped(error, warned) {
            Ok(error) => not_stored(classify(error, "committing")),
            Err(unwrapped) => unwrapped,
        });
        flown.map(drop)
    }
}
