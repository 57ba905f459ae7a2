//! The session: what handlers and producers hold.

use crate::connect::connection::Connection;
#[cfg(feature = "cron")]
use crate::connect::transaction::OpenTransaction;
use crate::db::Params;
use crate::observe::spans;
use crate::session::caller_sql::refuse_control;
use crate::session::outbox::Outbox;
use crate::session::process::Process;
use crate::session::savepoint::Savepoint;
use crate::session::transaction::SessionTransaction;
use crate::session::transaction_state::{DriverTransaction, Joined, TransactionState};
use crate::session::undo_settled::UndoSettled;
use crate::settings::cache::Settings;
use crate::words::outcome::Sent;
use crate::words::sqlstate::{classify_own, failure};
use crate::words::{
    DriverResult, Error, ErrorKind, Headers, Lineage, MessageId, MessageInWork, NewMessage, Result,
};
use postgres::{Row, Transaction};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// One database transaction in which tables are read and written and messages are sent.
///
/// All of it commits, or none of it. A handler gets the session of the transaction that holds its
/// message, so its writes, its sends and the acknowledgement commit together. A producer gets one
/// from [`Messaging::session`](crate::Messaging::session), or makes one inside a transaction of its
/// own with [`join`](MessagingSession::join).
///
/// Methods that run SQL block for one round trip, two if the text is new to the connection, and one
/// more where the transaction or the handler's savepoint has to begin (but an INSERT, UPDATE or
/// DELETE that the connection knows travels with its savepoint). Sends block for none, unless the
/// message has a dedupe key or its topic is bounded: they are stored together just before COMMIT,
/// or earlier when 5,000 or 4 MiB have gathered; in a joined session, at once.
///
/// A handler's transaction is READ COMMITTED; a session's has the database's default isolation.
///
/// # What SQL of your own may do
///
/// **It cannot end the transaction**: the session commits and rolls back by itself. `COMMIT`,
/// `ROLLBACK`, `PREPARE TRANSACTION` and the like are `Invalid` anywhere in a text, and then
/// nothing is run. A [lent](Self::with_transaction) transaction does not send them at all: the
/// connection is closed, so everything is rolled back, and the message fails. A
/// [joined](Self::join) session only checks the texts. Savepoints of your own are fine.
///
/// If the server ended the transaction all the same, a session returns
/// [`TransactionEnded`](crate::ErrorKind::TransactionEnded). In a handler, after a rollback the
/// message fails and its neighbours run again; after a commit it becomes a dead letter at once,
/// since its writes are there, and its neighbours are settled.
///
/// **What it sets ends with the handler, or the session.** Settings (`SET`, `SET LOCAL`,
/// `set_config`), roles (`SET ROLE`), temporary tables, cursors, `LISTEN`, advisory locks of the
/// session and your own prepared statements are gone for the next message, even of the same
/// transaction, and for the next user of the connection. Handlers that set nothing pay nothing. One
/// that does has a transaction of its own from then on (the first may end one that it shares) and
/// takes one more round trip; prepared statements cost the connection. Where a message is alone in
/// its transaction, deferred constraints are checked before COMMIT with the settings in place.
///
/// What a *function* sets cannot be seen from outside, except `set_config` in your own text, a
/// procedure or a `DO` block. Let it set things for the transaction only, and use
/// [`messages_per_transaction(1)`](crate::ReceiverBuilder::messages_per_transaction).
///
/// So for row-level security, set the tenant of the message first thing in each handler or session:
///
/// ```no_run
/// # use outtray::{HandlerError, Message, MessagingSession};
/// fn handle(session: &mut MessagingSession, order: Message<String>) -> Result<(), HandlerError> {
///     // A role that owns none of the tables, if the connection's own does.
///     session.execute("SET LOCAL ROLE clerk", &[])?;
///     session.execute("SELECT set_config('app.tenant', $1, true)", &[&order.payload])?;
///     // POLICY … USING (tenant = current_setting('app.tenant', true))
///     session.execute("UPDATE account SET seen = true", &[])?;
///     // Sends, and the end of the message, are written as the connection's own role.
///     session.send_message("next", &order.payload)?;
///     Ok(())
/// }
/// ```
pub struct MessagingSession<'c> {
    pub(super) process: &'c Process,
    pub(super) transaction: SessionTransaction<'c>,
    pub(super) outbox: Outbox,
    /// `Some` where a result may be recorded: in the session of one message's handler.
    pub(super) recorder: Option<Recorder>,
    /// How long a send waits for room in a bounded topic.
    pub(super) room_wait: Duration,
    /// The message in work, from which what is sent now carries on.
    pub(super) cause: Option<MessageInWork>,
    /// The settings of topics as only this transaction sees them.
    pub(super) settings: Option<Settings>,
}

/// What the handler of one message recorded, as JSON.
#[derive(Debug, Default)]
pub(crate) struct Recorder(Option<String>);

impl Recorder {
    pub(super) fn record(&mut self, result: String) {
        self.0 = Some(result);
    }

    pub(super) fn take(&mut self) -> Option<String> {
        self.0.take()
    }
}

impl<'c> MessagingSession<'c> {
    pub(super) fn new(process: &'c Process, transaction: SessionTransaction<'c>) -> Self {
        MessagingSession {
            process,
            transaction,
            outbox: Outbox::default(),
            recorder: None,
            room_wait: Duration::ZERO,
            cause: None,
            settings: None,
        }
    }

    /// Makes a session whose transaction begins with its first statement.
    pub(crate) fn on(process: &'c Process, connection: &'c mut Connection) -> Self {
        let state = TransactionState::Idle(connection);
        MessagingSession::new(process, SessionTransaction::new(state, Savepoint::None))
    }

    /// Makes a session in a transaction of ours.
    #[cfg(feature = "cron")]
    pub(crate) fn within(process: &'c Process, open: OpenTransaction<'c>) -> Self {
        let state = TransactionState::Begun(open);
        MessagingSession::new(process, SessionTransaction::new(state, Savepoint::None))
    }

    /// Makes a session in a transaction of the caller's.
    pub(crate) fn joined(process: &'c Process, transaction: &'c mut Transaction<'_>) -> Self {
        let joined = Joined {
            transaction,
            schema: process.schema.clone(),
        };
        let state = TransactionState::Joined(Box::new(joined));
        MessagingSession::new(process, SessionTransaction::new(state, Savepoint::None))
    }

    /// Returns the open transaction of a session that was made [within](Self::within) one.
    #[cfg(feature = "cron")]
    pub(crate) fn open(&mut self) -> Result<&mut OpenTransaction<'c>> {
        self.transaction.state.own()
    }

    /// Sends a JSON message and returns its id. The message exists once the transaction has
    /// committed.
    ///
    /// # Errors
    /// `Payload` if the value cannot become JSON or a receiver could not read it back (NUL, half a
    /// surrogate pair, nesting over 127 levels), `TooLarge` over the payload limit (1 MiB by
    /// default), `Invalid` for a bad topic name. None of them touches the transaction. Where
    /// messages are stored at once, also the kinds of [`execute`](Self::execute).
    pub fn send_message<T: Serialize + ?Sized>(
        &mut self,
        topic: &str,
        payload: &T,
    ) -> Result<MessageId> {
        self.send(NewMessage::json(topic, payload)?).map(Sent::id)
    }

    /// Sends many JSON messages to one topic, in order, and returns their ids. They travel
    /// together, up to 5,000 or 4 MiB per round trip. All of them are in memory at once: send
    /// millions in calls of some thousands.
    ///
    /// # Errors
    /// The same as [`send_message`](Self::send_message), for the first message at fault; then none
    /// is sent.
    pub fn send_messages<T, I>(&mut self, topic: &str, payloads: I) -> Result<Vec<MessageId>>
    where
        T: Serialize,
        I: IntoIterator<Item = T>,
    {
        let messages: Vec<NewMessage> = payloads
            .into_iter()
            .map(|payload| {
                let message = NewMessage::json(topic, &payload)?;
                let message = self.process.send_hooks.run(message)?;
                message.check(self.process.max_payload_bytes)?;
                Ok(message)
            })
            .collect::<Result<_>>()?;
        let sent = self.send_checked(messages)?;
        Ok(sent.into_iter().map(Sent::id).collect())
    }

    /// Sends a message with options. Returns whether it is new, or a duplicate of a message with
    /// the same dedupe key. With a dedupe key, or to a bounded topic, it blocks for a round trip,
    /// and for open transactions that sent with the same key or to that topic.
    ///
    /// # Errors
    /// The same as [`send_message`](Self::send_message). `Invalid` for a priority, a header or a
    /// delay that is out of bounds, and for a message that comes [`after`](NewMessage::after) one
    /// that is not tracked. `Full` when a bounded topic has no room; the session stays usable. With
    /// a dedupe key or to a bounded topic, also the kinds of [`execute`](Self::execute).
    pub fn send(&mut self, message: NewMessage) -> Result<Sent> {
        spans::within(spans::send(&message.topic), |span| {
            let outgoing = self.checked(message)?;
            spans::note_id(span, outgoing.id);
            self.send_outgoing(outgoing)
        })
    }

    /// Runs a statement and returns how many rows it affected. It is prepared once for each
    /// connection.
    ///
    /// # Errors
    /// `Database` when the server refuses it, `Conflict` when another transaction was in the way,
    /// each with the driver's error as its source. After either the transaction cannot continue:
    /// return the error, or put [`transaction`](Self::transaction) around what may fail.
    /// `Unavailable` when the connection broke. `Invalid` for COMMIT, ROLLBACK, BEGIN or the like:
    /// the session ends its transaction itself.
    pub fn execute(&mut self, sql: &str, params: Params<'_>) -> Result<u64> {
        refuse_control(sql, true)?;
        self.transaction.check_open()?;
        let result = match self.transaction.execute_first(sql, params)? {
            Some(result) => result,
            None => self
                .transaction
                .run_callers(sql, |open| open.execute(sql, params))?,
        };
        self.transaction.noting(result)
    }

    /// Runs a query and returns its rows. It is prepared once for each connection.
    ///
    /// # Errors
    /// The same as [`execute`](Self::execute).
    pub fn query(&mut self, sql: &str, params: Params<'_>) -> Result<Vec<Row>> {
        refuse_control(sql, true)?;
        self.transaction.check_open()?;
        let result = self
            .transaction
            .run_callers(sql, |open| open.query(sql, params))?;
        self.transaction.noting(result)
    }

    /// Runs a query that returns exactly one row.
    ///
    /// # Errors
    /// The same as [`execute`](Self::execute), and `Database` for no row or several rows.
    pub fn query_one(&mut self, sql: &str, params: Params<'_>) -> Result<Row> {
        self.query_opt(sql, params)?
            .ok_or_else(|| row_count("returned no row where one is expected"))
    }

    /// Runs a query that returns at most one row.
    ///
    /// # Errors
    /// The same as [`execute`](Self::execute), and `Database` for several rows.
    pub fn query_opt(&mut self, sql: &str, params: Params<'_>) -> Result<Option<Row>> {
        let mut rows = self.query(sql, params)?;
        if rows.len() > 1 {
            return Err(row_count("returned several rows where one is expected"));
        }
        Ok(rows.pop())
    }

    /// Runs several statements without parameters, separated by semicolons. If one of them would
    /// end the transaction, none is run.
    ///
    /// # Errors
    /// The same as [`execute`](Self::execute).
    pub fn batch_execute(&mut self, sql: &str) -> Result<()> {
        refuse_control(sql, false)?;
        self.transaction.check_open()?;
        self.transaction.note_own()?;
        self.transaction.is_in_doubt = true;
        let result = self
            .transaction
            .run_callers(sql, |open| open.batch_execute(sql))?;
        self.transaction.noting(result)
    }

    /// Opens a savepoint: a transaction inside this one, which rolls back alone when it is dropped
    /// without `commit()`. Its type is the driver's own, for helpers over
    /// `postgres::GenericClient`.
    ///
    /// # Errors
    /// The same as [`execute`](Self::execute).
    pub fn transaction(&mut self) -> Result<Transaction<'_>> {
        self.transaction.is_in_doubt = true;
        self.lending()?.nested().map_err(classify_own)
    }

    /// Lends the driver's transaction itself, without the round trips of a savepoint, and returns
    /// what `borrower` returns. A statement that would end the transaction closes the connection
    /// instead.
    ///
    /// # Errors
    /// `Unavailable` when the transaction cannot begin. An error of `borrower` comes back inside
    /// `Ok`.
    ///
    /// ```no_run
    /// # fn f(session: &mut outtray::MessagingSession<'_>) -> Result<(), outtray::HandlerError> {
    /// use postgres::GenericClient;
    ///
    /// fn count(client: &mut impl GenericClient) -> Result<i64, postgres::Error> {
    ///     client.query_one("SELECT count(*) FROM thing", &[])?.try_get(0)
    /// }
    /// let things = session.with_transaction(|transaction| count(transaction))??;
    /// # Ok(()) }
    /// ```
    pub fn with_transaction<R>(
        &mut self,
        borrower: impl FnOnce(&mut Transaction<'_>) -> R,
    ) -> Result<R> {
        self.transaction.is_in_doubt = true;
        let mut borrower = Some(borrower);
        let mut returned = None;
        self.lending()?.lend(&mut |transaction| {
            if let Some(borrower) = borrower.take() {
                returned = Some(borrower(transaction));
            }
        });
        Ok(returned.expect("a transaction is lent exactly once"))
    }

    /// Returns the driver's own transaction object, inside the savepoint of the current part.
    fn lending(&mut self) -> Result<&mut dyn DriverTransaction> {
        let (lending, was_missing) = self.transaction.lending()?;
        if was_missing {
            // From now on this process begins transactions with the object, so that the server's
            // log does not fill with warnings.
            self.process.needs_objects.store(true, Ordering::Relaxed);
        }
        Ok(lending)
    }

    /// Runs `end`, which ends a message under a lease, as part of the transaction.
    pub(crate) fn end_held<T>(
        &mut self,
        end: impl FnOnce(&mut TransactionState<'c>) -> Result<DriverResult<T>>,
    ) -> Result<DriverResult<T>> {
        self.transaction.enter()?;
        self.transaction.state.begun()?;
        let ended = end(&mut self.transaction.state)?;
        let is_failed = |error: &postgres::Error| !failure(error).is_lost();
        self.transaction.is_in_doubt |= ended.as_ref().is_err_and(is_failed);
        Ok(ended)
    }

    /// Notes a delivery that is settled if the transaction commits. A joined session notes none,
    /// because it never learns the outcome of its transaction.
    pub(crate) fn note_settled(&mut self, settled: impl FnOnce() -> UndoSettled) {
        if !self.transaction.is_joined() {
            self.outbox.note_settled(settled());
        }
    }

    /// Notes the message in work: what is sent from now on carries on from it.
    pub(crate) fn works_on(&mut self, id: MessageId, headers: &Headers) {
        self.works_on_one_of(id, || Lineage::of(headers));
    }

    /// The same for a message whose headers are elsewhere.
    pub(crate) fn works_on_one_of(
        &mut self,
        id: MessageId,
        lineage: impl FnOnce() -> Option<Arc<Lineage>>,
    ) {
        if self.process.is_correlating {
            self.cause = Some(MessageInWork::new(id, lineage()));
        }
    }

    /// Collects the side effects of the caller's SQL once its closure has returned.
    pub(crate) fn end_callers(&mut self) {
        self.transaction.end_callers();
    }

    /// Returns an error if the caller's SQL ended the transaction.
    pub(crate) fn ended(&mut self) -> Option<Error> {
        self.transaction.ended()
    }

    /// Runs a closure that may record a result, and returns that result too.
    pub(crate) fn recording<T, E>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<(T, Option<String>), E> {
        self.recorder = Some(Recorder::default());
        let returned = work(self);
        let result = self
            .recorder
            .take()
            .and_then(|mut recorder| recorder.take());
        Ok((returned?, result))
    }
}

fn row_count(what: &str) -> Error {
    Error::new(ErrorKind::Database, format!("the query {what}"))
}
