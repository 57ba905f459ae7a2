//! One connection with its prepared statements.

use crate::connect::execute::{copy, count, rows};
use crate::connect::lender::{Borrowed, HeldClient};
use crate::connect::pulse::{Pulse, Pulses};
use crate::connect::refused::refused;
use crate::connect::serialized::serialized;
use crate::connect::settings::ConnectionSettings;
use crate::connect::statement_cache::StatementCache;
use crate::connect::transaction::OpenTransaction;
use crate::connect::tries::Dialed;
use crate::db::commands::script;
use crate::db::flight;
use crate::db::{CallMode, Flight, Params, Run, Statement};
use crate::words::{Doing, DriverResult, Error, ErrorKind, Result};
use postgres::{Client, IsolationLevel, Row, SimpleQueryRow};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connection of ours, or one that was lent to us.
pub(crate) struct Connection {
    client: HeldClient,
    cache: StatementCache,
    mode: CallMode,
    last_used: Instant,
    /// Whether each transaction here has [`BOUNDS`], since the session cannot have them.
    bounds_each: bool,
    /// What is seen of it from outside; `None` for one through a file, or that was lent.
    pub(crate) pulse: Option<Arc<Pulse>>,
    pulses: Arc<Pulses>,
    generation: u64,
    server: Option<i64>,
}

/// To which server a connection leads, as far as that is known; else since when connections break
/// no more.
pub(crate) type Whereabouts = (Option<i64>, u64);

impl Drop for Connection {
    /// Closing talks to the server, which may not listen any more.
    fn drop(&mut self) {
        if let Some(pulse) = self.pulse.as_ref().filter(|_| self.is_outdated()) {
            pulse.cut();
        }
    }
}

/// How long a statement waits for a lock, and a transaction stands still, where nobody's own SQL
/// runs: others wait for both. A process that is frozen in between gives its locks back after that.
/// And a statement by itself sees what it waited for, whatever the default of the role is.
const BOUNDS: [(&str, &str); 3] = [
    ("default_transaction_isolation", "'read committed'"),
    ("lock_timeout", "200"),
    ("idle_in_transaction_session_timeout", "5000"),
];

impl Connection {
    /// Opens a connection. Blocks for three times the connect timeout at most, 15 s by default.
    ///
    /// # Errors
    /// `Unavailable`, `Denied`, or `Configuration`, naming the host and the database.
    pub(crate) fn open(settings: &ConnectionSettings) -> Result<Self> {
        Connection::open_within(settings, Duration::MAX)
    }

    /// Like [`open`](Self::open), blocking no longer than this.
    pub(crate) fn open_within(settings: &ConnectionSettings, most: Duration) -> Result<Self> {
        let generation = settings.dial.pulses().generation();
        let dialed = settings.dial.connect(&settings.target, most)?;
        Connection::of(dialed, settings, generation)
    }

    /// Opens a connection on which each answer has a limit.
    pub(crate) fn open_limited(settings: &ConnectionSettings, limit: Duration) -> Result<Self> {
        let generation = settings.dial.pulses().generation();
        let dialed = settings.dial.connect_limited(&settings.target, limit)?;
        Connection::of(dialed, settings, generation)
    }

    /// Like [`open_limited`](Self::open_limited), also to a server that takes no writes.
    pub(crate) fn open_to_look(settings: &ConnectionSettings, limit: Duration) -> Result<Self> {
        let generation = settings.dial.pulses().generation();
        let dialed = settings.dial.connect_to_look(&settings.target, limit)?;
        Connection::of(dialed, settings, generation)
    }

    fn of(
        dialed: DriverResult<Dialed>,
        settings: &ConnectionSettings,
        generation: u64,
    ) -> Result<Self> {
        let dialed = dialed.map_err(|error| refused(error, &settings.target))?;
        let is_inline = settings.is_pooler_safe || settings.losses.are_many();
        Ok(Connection::with(dialed, is_inline, settings, generation))
    }

    /// Takes a connection of the caller's. Nothing is known of it, so that it is used as one behind
    /// a pooler.
    pub(crate) fn borrowed(client: Borrowed, settings: &ConnectionSettings) -> Self {
        let generation = settings.dial.pulses().generation();
        Connection::with(Dialed::borrowed(client), true, settings, generation)
    }

    fn with(
        dialed: Dialed,
        is_inline: bool,
        settings: &ConnectionSettings,
        generation: u64,
    ) -> Self {
        let generation = dialed.generation.unwrap_or(generation);
        let pulse = dialed.pulse;
        let losses = settings.losses.clone();
        let mut cache = StatementCache::new(
            settings.schema.clone(),
            losses,
            pulse.clone(),
            dialed.settings,
        );
        cache.is_distributed = dialed.is_distributed;
        Connection {
            client: dialed.client,
            cache,
            mode: match is_inline {
                true => CallMode::Inline,
                false => CallMode::Prepared,
            },
            last_used: Instant::now(),
            bounds_each: false,
            pulse,
            pulses: Arc::clone(settings.dial.pulses()),
            generation,
            server: dialed.server,
        }
    }

    /// Returns whether the connection is not to be taken again: what befell another one may have
    /// befallen it.
    pub(crate) fn is_outdated(&self) -> bool {
        self.generation != self.pulses.generation()
    }

    /// Returns by what it is told that the server is another one than before: what is in memory may
    /// not be there.
    pub(crate) fn whereabouts(&self) -> Whereabouts {
        match self.server {
            Some(server) => (Some(server), 0),
            None => (None, self.generation),
        }
    }

    /// Says that what befell this one has befallen all that are there: they are not taken again.
    pub(crate) fn outdate_all(&self) {
        self.pulses.outdate();
    }

    /// Returns the server process that answers here, if it is known and stays the same.
    pub(crate) fn server_process(&self) -> Option<i32> {
        self.pulse.as_ref().and_then(|pulse| pulse.process())
    }

    /// Returns whether somebody is between, who makes up names of server processes; `None` where
    /// nobody knows.
    pub(crate) fn is_behind_pooler(&self) -> Option<bool> {
        self.pulse.as_ref().map(|pulse| pulse.is_behind_pooler())
    }

    /// Bounds each wait for a lock here to 200 ms, and each pause of a transaction to 5 s. Behind a
    /// pooler that takes three round trips more for a statement, which is a transaction then.
    pub(crate) fn bound_waits(&mut self) -> Result<()> {
        self.bounds_each = self.mode == CallMode::Inline;
        if self.bounds_each {
            return Ok(());
        }
        let set = self.client.batch_execute(&bounds("SESSION"));
        set.doing("setting up a connection")
    }

    /// Returns whether the connection is of no more use: known to be gone (one that nobody used
    /// since it broke is not known), with prepared statements that no longer fit, or with locks
    /// that somebody left.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed() || self.cache.is_stale() || self.cache.caller_sql.is_locked()
    }

    /// Asks the server for a sign of life, unless it gave one within `fresh`.
    pub(crate) fn check(&mut self, fresh: Duration) -> Result<()> {
        if self.is_outdated() {
            let text = "the connection is from before others broke: opening a new one";
            return Err(Error::new(ErrorKind::Unavailable, text));
        }
        if self.last_used.elapsed() < fresh && !self.is_closed() {
            return Ok(());
        }
        self.client
            .batch_execute("")
            .doing("checking a connection")?;
        self.touch();
        Ok(())
    }

    /// Notes that the server has just answered.
    pub(crate) fn touch(&mut self) {
        self.last_used = Instant::now();
    }

    pub(crate) fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Returns what runs statements in a transaction that was begun by hand.
    pub(crate) fn parts(&mut self) -> (&mut Client, &mut StatementCache, CallMode) {
        let mode = self.mode();
        (&mut self.client, &mut self.cache, mode)
    }

    /// Returns a flight for this connection.
    pub(crate) fn flight(&self) -> Flight {
        self.cache.flight(self.mode())
    }

    /// Keeps the planner from reading tables as a whole, for a connection that runs no statements
    /// of a caller: what it does was planned, and is kept, as the tables seemed to be at some
    /// moment. A no-op behind a pooler, where the next would have the settings too, and nothing is
    /// kept.
    pub(crate) fn read_by_index(&mut self) -> Result<()> {
        if self.mode() == CallMode::Inline {
            return Ok(());
        }
        self.client
            .batch_execute(READ_BY_INDEX)
            .doing("setting up a connection")
    }

    /// Returns whether statements stay prepared here.
    pub(crate) fn mode(&self) -> CallMode {
        match self.cache.is_spoilt() {
            true => CallMode::Inline,
            false => self.mode,
        }
    }

    /// Sends statements in one flight that begins a transaction and may end it; returns the rows of
    /// all of them. After an error nothing of the transaction is left. The driver knows nothing of
    /// it: who leaves it open ends it with a further flight.
    pub(crate) fn fly(&mut self, flight: Flight) -> DriverResult<Vec<SimpleQueryRow>> {
        self.cache.next_transaction();
        let answered = self.cache.fly(&mut *self.client, flight);
        let answered = self.cache.heed(true, answered);
        match answered {
            Ok(messages) => {
                self.touch();
                Ok(flight::rows(messages))
            }
            Err(error) => {
                self.roll_back();
                Err(error)
            }
        }
    }

    /// Ends the transaction that a flight left open. A connection that cannot is of no more use.
    pub(crate) fn roll_back(&mut self) {
        if !self.client.is_closed() && self.client.batch_execute("ROLLBACK").is_err() {
            self.cache.mark_stale();
        }
    }

    /// Begins a transaction; READ COMMITTED where the caller needs it whatever the server's
    /// default.
    pub(crate) fn begin(
        &mut self,
        level: Option<IsolationLevel>,
    ) -> DriverResult<OpenTransaction<'_>> {
        self.cache.next_transaction();
        let bounds = self.bounds_each.then(|| bounds("LOCAL"));
        let mut open = self.start(level)?;
        if let Some(bounds) = bounds {
            open.transaction.batch_execute(&bounds)?;
        }
        Ok(open)
    }

    /// Begins a transaction in a flight that begins it, and returns its rows. Worth it only where
    /// the driver [can take over](Self::is_taken_over_at_once).
    pub(crate) fn begin_in(
        &mut self,
        flight: Flight,
    ) -> DriverResult<(OpenTransaction<'_>, Vec<SimpleQueryRow>)> {
        let rows = self.fly(flight)?;
        Ok((self.take_over()?, rows))
    }

    /// Returns whether the driver takes over a transaction that is open without a round trip.
    pub(crate) fn is_taken_over_at_once(&self) -> bool {
        self.pulse.is_some() && !self.bounds_each
    }

    /// Returns the driver's object for the transaction that a flight has begun. Where the stream is
    /// ours it answers the driver's BEGIN, else the server does, with a warning.
    pub(crate) fn take_over(&mut self) -> DriverResult<OpenTransaction<'_>> {
        if let Some(pulse) = &self.pulse {
            pulse.takes_over();
        }
        self.start(None)
    }

    fn start(&mut self, level: Option<IsolationLevel>) -> DriverResult<OpenTransaction<'_>> {
        let mode = self.mode();
        let mut builder = self.client.build_transaction();
        if let Some(level) = level {
            builder = builder.isolation_level(level);
        }
        Ok(OpenTransaction {
            transaction: builder.start()?,
            cache: &mut self.cache,
            mode,
        })
    }

    /// Begins a transaction in which each statement sees what those before it waited for.
    pub(crate) fn read_committed(&mut self, doing: &str) -> Result<OpenTransaction<'_>> {
        self.begin(Some(IsolationLevel::ReadCommitted)).doing(doing)
    }

    /// Runs one statement in a transaction of its own, which has its bounds.
    fn bounded<T>(
        &mut self,
        run: impl FnOnce(&mut OpenTransaction<'_>) -> DriverResult<T>,
    ) -> DriverResult<T> {
        let mut open = self.begin(Some(IsolationLevel::ReadCommitted))?;
        let returned = run(&mut open)?;
        open.transaction.commit()?;
        Ok(returned)
    }
}

fn bounds(scope: &str) -> String {
    let set = BOUNDS.map(|(name, value)| format!("SET {scope} {name} = {value};"));
    set.concat()
}

// What has to be read as a whole all the same looks so dear then that it would be compiled, which
// takes longer than to read it.
const READ_BY_INDEX: &str = "SET jit = off; SET enable_seqscan = off; SET enable_bitmapscan = off; \
    SET enable_hashjoin = off; SET enable_mergejoin = off";

impl Run for Connection {
    fn rows(&mut self, statement: &Statement, params: Params<'_>) -> DriverResult<Vec<Row>> {
        if self.bounds_each {
            return self.bounded(|open| open.rows(statement, params));
        }
        let (mode, client, cache) = (self.mode(), &mut *self.client, &mut self.cache);
        serialized(|| rows(client, cache, mode, statement, params))
    }

    fn count(&mut self, statement: &Statement, params: Params<'_>) -> DriverResult<u64> {
        if self.bounds_each {
            return self.bounded(|open| open.count(statement, params));
        }
        let (mode, client, cache) = (self.mode(), &mut *self.client, &mut self.cache);
        serialized(|| count(client, cache, mode, statement, params))
    }

    fn copies_at_once(&self) -> bool {
        !self.bounds_each && self.cache.transport(self.mode()).keeps_statements()
    }

    fn copy(
        &mut self,
        statement: &'static Statement,
        rows: &dyn Fn() -> Vec<u8>,
    ) -> Option<DriverResult<()>> {
        if self.copies_at_once() {
            let mut flight = self.flight();
            flight.copy(statement, &rows());
            return Some(self.fly(flight).map(drop));
        }
        let is_prepared = self.mode() == CallMode::Prepared;
        is_prepared.then(|| copy(&mut *self.client, &mut self.cache, statement, &rows()))
    }

    fn commands(&mut self, commands: &[&'static Statement]) -> DriverResult<()> {
        self.client.batch_execute(&script(commands.iter().copied()))
    }
}
