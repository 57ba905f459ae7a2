//! A transaction whose BEGIN travels with its first statement.
//!
//! The driver's own object costs a round trip to create. Without it, a session that asks one thing
//! and sends one message needs two round trips in all; with it, three.

use crate::connect::connection::Connection;
use crate::db::commands;
use crate::db::flight;
use crate::db::{Flight, Params, Run, Statement};
use crate::words::DriverResult;
use postgres::{Row, SimpleQueryRow};

/// An open transaction without the driver's object. Rolls back when it is dropped, which blocks for
/// a round trip.
pub(crate) struct LazyTransaction<'c> {
    /// Gone once the transaction has ended or the driver's object took over.
    connection: Option<&'c mut Connection>,
    is_begun: bool,
}

impl<'c> LazyTransaction<'c> {
    pub(crate) fn new(connection: &'c mut Connection) -> Self {
        LazyTransaction {
            connection: Some(connection),
            is_begun: false,
        }
    }

    /// Returns the connection, which is there until the transaction has ended.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        let connection = self.connection.as_deref_mut();
        connection.expect("a transaction that did not end has its connection")
    }

    /// Ends this and leaves the transaction open, for the driver's object to take over.
    pub(crate) fn into_connection(mut self) -> &'c mut Connection {
        let connection = self.connection.take();
        connection.expect("a transaction that did not end has its connection")
    }

    /// Begins in a flight of which `fill` appends what is to run first; returns its rows. Nothing
    /// is begun where the first error is that what it calls cannot be prepared.
    pub(crate) fn begin(
        &mut self,
        fill: impl FnOnce(&mut Flight),
    ) -> DriverResult<Vec<SimpleQueryRow>> {
        let mut flight = self.flight();
        flight.command(&commands::BEGIN_USUAL);
        fill(&mut flight);
        let (client, cache, _) = self.connection().parts();
        cache.next_transaction();
        let ready = cache.ready(client, flight);
        let ready = cache.heed(false, ready)?;
        self.is_begun = true;
        let (client, cache, _) = self.connection().parts();
        let messages = cache.send(client, ready);
        cache.heed(true, messages).map(flight::rows)
    }

    /// Returns whether it is begun.
    pub(crate) fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Returns a flight for this transaction.
    pub(crate) fn flight(&mut self) -> Flight {
        self.connection().flight()
    }

    /// Sends several statements in one flight and returns the rows of all of them.
    pub(crate) fn fly(&mut self, flight: Flight) -> DriverResult<Vec<SimpleQueryRow>> {
        let (client, cache, _) = self.connection().parts();
        let messages = cache.fly(client, flight);
        cache.heed(true, messages).map(flight::rows)
    }

    /// Ends the object after a flight that ended with COMMIT. Sends nothing.
    pub(crate) fn committed(mut self) {
        self.connection = None;
    }
}

impl Drop for LazyTransaction<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| self.is_begun) {
            // If it cannot be sent the connection is gone, and the transaction with it.
            let _ = connection.client().batch_execute("ROLLBACK");
        }
    }
}

impl Run for LazyTransaction<'_> {
    fn rows(&mut self, statement: &Statement, params: Params<'_>) -> DriverResult<Vec<Row>> {
        self.connection().rows(statement, params)
    }

    fn count(&mut self, statement: &Statement, params: Params<'_>) -> DriverResult<u64> {
        self.connection().count(statement, params)
    }

    fn commands(&mut self, commands: &[&'static Statement]) -> DriverResult<()> {
        self.connection().commands(commands)
    }

    fn fly_calls(&mut self, fill: &mut dyn FnMut(&mut Flight)) -> Option<DriverResult<()>> {
        let mut flight = LazyTransaction::flight(self);
        flight.transport().keeps_statements().then(|| {
            fill(&mut flight);
            self.fly(flight).map(drop)
        })
    }
}
