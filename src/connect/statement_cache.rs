//! Prepared statements of one connection. The driver keeps none.

use crate::connect::caller_sql::CallerSql;
use crate::connect::pipeline::{ProtocolFlight, STAND_IN};
use crate::connect::pulse::Pulse;
use crate::db::flight::{Form, Transport, prepare};
use crate::db::statement::Statement as OurStatement;
use crate::db::{CallMode, Flight};
use crate::schema::name::SchemaName;
use crate::words::DriverResult;
use crate::words::sqlstate::{is_aborted, is_read_only, is_statement_gone, may_be_outdated};
use crate::words::wrapped::Warned;
use postgres::types::Type;
use postgres::{GenericClient, SimpleQueryMessage, Statement};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// Texts of the caller's own that are kept prepared on one connection. A program has a few dozen;
/// one that builds its texts would fill the server's memory without a bound.
const MAX_TEXTS: usize = 256;

/// Texts of the caller's own that are called in flights on one connection, for as long as it lives.
/// More go by the driver.
const MAX_CALLS: usize = 64;

/// How often statements have to be gone until connections do without them.
const MAX_LOSSES: u32 = 3;

/// How often prepared statements were gone on the connections to one place.
#[derive(Clone, Default)]
pub(crate) struct Losses(Arc<AtomicU32>);

impl Losses {
    /// Returns whether somebody drops them again and again: a `DEALLOCATE ALL`, or a pooler.
    pub(crate) fn are_many(&self) -> bool {
        self.0.load(Relaxed) >= MAX_LOSSES
    }

    /// Counts one. The first behind a pooler is enough: the next statement of that name may be
    /// somebody else's.
    fn count(&self, is_behind_pooler: bool) {
        if !is_behind_pooler {
            self.0.fetch_add(1, Relaxed);
        } else if self.0.fetch_add(MAX_LOSSES, Relaxed) < MAX_LOSSES {
            tracing::warn!(
                "a prepared statement was gone behind a pooler: connections do without them from now on; if the pooler \
                 is in transaction mode, say pooler_safe(true)"
            );
        }
    }
}

/// What is prepared on a connection.
pub(crate) struct StatementCache {
    pub(crate) schema: SchemaName,
    /// Texts of the caller's own, each with the transaction in which it was prepared.
    statements: HashMap<String, (Statement, u64)>,
    /// The same for statements of ours, by their names, which the driver runs.
    ours: HashMap<&'static str, (Statement, u64)>,
    /// The names under which texts of the caller's own are called in flights.
    calls: HashMap<String, Arc<str>>,
    /// Counts transactions.
    transaction: u64,
    losses: Losses,
    /// What the stream under them saw.
    pulse: Option<Arc<Pulse>>,
    /// What callers' SQL does to the connection.
    pub(crate) caller_sql: CallerSql,
    is_outdated: bool,
    /// Names that were tried; one whose `PREPARE` failed is not used again.
    named_calls: usize,
    /// Statements of ours that flights call.
    named: HashSet<&'static str>,
    is_stale: bool,
    /// Whether what was prepared may be gone.
    is_spoilt: bool,
    /// Whether the tables may be on other servers, which plan what is done with them.
    pub(crate) is_distributed: bool,
}

/// A statement that is prepared.
pub(crate) struct Prepared {
    pub(crate) statement: Statement,
    /// Whether it was prepared before this transaction began, so that tables may have changed
    /// since.
    pub(crate) is_older: bool,
}

impl Prepared {
    fn of((statement, since): &(Statement, u64), transaction: u64) -> Self {
        Prepared {
            statement: statement.clone(),
            is_older: *since < transaction,
        }
    }
}

/// How a text of the caller's own is called in a flight.
pub(crate) enum Call {
    /// By the name that `PREPARE` made.
    Prepared(Arc<str>),
    /// By this name, once `PREPARE` has made it.
    New(Arc<str>),
}

impl StatementCache {
    /// Makes the cache of a connection that was made with these settings, which are statements;
    /// `None` for a connection that was lent.
    pub(crate) fn new(
        schema: SchemaName,
        losses: Losses,
        pulse: Option<Arc<Pulse>>,
        settings: Option<String>,
    ) -> Self {
        StatementCache {
            schema,
            statements: HashMap::new(),
            ours: HashMap::new(),
            calls: HashMap::new(),
            transaction: 0,
            losses,
            caller_sql: CallerSql::new(pulse.clone(), settings),
            pulse,
            is_outdated: false,
            named_calls: 0,
            named: HashSet::new(),
            is_stale: false,
            is_spoilt: false,
            is_distributed: false,
        }
    }

    /// Returns whether the server ended the session, since a transaction took too long.
    pub(crate) fn is_overlong(&self) -> bool {
        self.pulse.as_ref().is_some_and(|pulse| pulse.is_overlong())
    }

    /// Takes what the server warned of since the last flight began, with the SQLSTATE of an error.
    pub(crate) fn warned(&self) -> Option<Warned> {
        self.pulse.as_ref()?.take_warned()
    }

    /// Notes that a transaction begins.
    pub(crate) fn next_transaction(&mut self) {
        self.transaction += 1;
        self.is_outdated = false;
    }

    /// Passes on the result of a statement. An error that says that statements are gone gives the
    /// connection up; so does one that a change of tables makes, of a statement that is older than
    /// the transaction; and so does a session that somebody left read-only.
    pub(crate) fn heed<T>(&mut self, is_older: bool, result: DriverResult<T>) -> DriverResult<T> {
        let Err(error) = &result else {
            return result;
        };
        if is_statement_gone(error) {
            let pulse = self.pulse.as_ref();
            self.losses
                .count(pulse.is_some_and(|pulse| pulse.is_behind_pooler()));
            self.mark_outdated();
        } else if is_older && may_be_outdated(error) {
            self.mark_outdated();
        } else if is_read_only(error) {
            self.mark_stale();
        }
        result
    }

    /// Returns how flights travel here: in messages, but through a file or a pool of the caller's
    /// as texts, since nobody is under the driver there who could send them.
    pub(crate) fn transport(&self, mode: CallMode) -> Transport {
        match self.pulse {
            Some(_) => Transport::Protocol(mode),
            None => Transport::Text(mode),
        }
    }

    /// Returns a flight that travels so, and leaves what the caller has set.
    pub(crate) fn flight(&self, mode: CallMode) -> Flight {
        Flight::new(self.transport(mode), &self.schema)
            .keeping_settings(self.caller_sql.has_set())
            .planned_elsewhere(self.is_distributed)
    }

    /// Sends several statements in one flight. Those that are missing are prepared first, which
    /// takes a round trip.
    pub(crate) fn fly<C: GenericClient>(
        &mut self,
        client: &mut C,
        flight: Flight,
    ) -> DriverResult<Vec<SimpleQueryMessage>> {
        let form = self.ready(client, flight)?;
        self.send(client, form)
    }

    /// Prepares what a flight calls and is missing, and returns how it is to be sent.
    pub(crate) fn ready<C: GenericClient>(
        &mut self,
        client: &mut C,
        flight: Flight,
    ) -> DriverResult<Form> {
        // Whichever way it goes: both know what either prepared.
        let transport = self.transport(CallMode::Prepared);
        let (named, form) = flight.end();
        let is_missing = |one: &&'static OurStatement| !self.named.contains(one.name());
        let mut missing: Vec<_> = named.into_iter().filter(is_missing).collect();
        if missing.is_empty() {
            return Ok(form);
        }
        missing.sort_unstable_by_key(|one| one.name());
        missing.dedup_by_key(|one| one.name());
        let made = self.send(client, prepare(transport, &self.schema, &missing));
        if let Transport::Text(_) = transport
            && made.as_ref().is_err_and(|error| !is_aborted(error))
        {
            // Nobody knows which of them there are.
            self.mark_stale();
        }
        made?;
        self.named.extend(missing.iter().map(|one| one.name()));
        Ok(form)
    }

    /// Sends what is [ready](Self::ready).
    pub(crate) fn send<C: GenericClient>(
        &mut self,
        client: &mut C,
        form: Form,
    ) -> DriverResult<Vec<SimpleQueryMessage>> {
        self.warned();
        match form {
            Form::Text(sql) => client.simple_query(&sql),
            Form::Messages(messages) => {
                if let Some(pulse) = &self.pulse {
                    pulse.put_instead(ProtocolFlight(messages));
                }
                client.simple_query(STAND_IN)
            }
        }
    }

    /// Returns the statement of ours that the driver runs, prepared on its first use.
    pub(crate) fn ours<C: GenericClient>(
        &mut self,
        client: &mut C,
        statement: &OurStatement,
    ) -> DriverResult<Prepared> {
        if let Some(kept) = self.ours.get(statement.name()) {
            return Ok(Prepared::of(kept, self.transaction));
        }
        let text = statement.text(&self.schema);
        let made = client.prepare_typed(&text, statement.types());
        let kept = (self.heed(false, made)?, self.transaction);
        let prepared = Prepared::of(&kept, self.transaction);
        self.ours.insert(statement.name(), kept);
        Ok(prepared)
    }

    /// Returns the statement for a text of the caller's, prepared on its first use.
    pub(crate) fn get<C: GenericClient>(
        &mut self,
        client: &mut C,
        text: &str,
    ) -> DriverResult<Prepared> {
        if let Some(kept) = self.statements.get(text) {
            return Ok(Prepared::of(kept, self.transaction));
        }
        if self.statements.len() >= MAX_TEXTS {
            self.statements.clear();
        }
        let kept = (self.heed(false, client.prepare(text))?, self.transaction);
        let prepared = Prepared::of(&kept, self.transaction);
        self.statements.insert(text.to_owned(), kept);
        Ok(prepared)
    }

    /// Returns the types of the parameters of `text`, if it came before: many come only once.
    pub(crate) fn types(&self, text: &str) -> Option<&[Type]> {
        self.statements
            .get(text)
            .map(|(statement, _)| statement.params())
    }

    /// Returns how `text` is called in a flight, for a call that follows; `None` when there are too
    /// many.
    pub(crate) fn call(&mut self, text: &str) -> Option<Call> {
        if let Some(name) = self.calls.get(text) {
            return Some(Call::Prepared(Arc::clone(name)));
        }
        if self.named_calls == MAX_CALLS {
            return None;
        }
        self.named_calls += 1;
        Some(Call::New(
            format!("outtray_own_{}", self.named_calls).into(),
        ))
    }

    /// Notes that `PREPARE` made the name of a new call.
    pub(crate) fn insert_call(&mut self, text: &str, name: Arc<str>) {
        self.calls.insert(text.to_owned(), name);
    }

    /// Notes that statements no longer fit: the tables behind them changed, or somebody dropped
    /// them. Their connection is of no more use.
    pub(crate) fn mark_stale(&mut self) {
        self.is_stale = true;
    }

    /// Notes that the caller's SQL dropped or made prepared statements: nothing here counts on them
    /// any more.
    pub(crate) fn mark_spoilt(&mut self) {
        self.is_spoilt = true;
        self.is_stale = true;
    }

    pub(crate) fn is_spoilt(&self) -> bool {
        self.is_spoilt
    }

    /// Notes the same of a statement in this transaction, which is to run again.
    pub(crate) fn mark_outdated(&mut self) {
        self.is_outdated = true;
        self.is_stale = true;
    }

    /// Returns whether a statement of this transaction no longer fitted.
    pub(crate) fn is_outdated(&self) -> bool {
        self.is_outdated
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.is_stale
    }
}
