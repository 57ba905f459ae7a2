//! The front door.

use crate::cancel::ends;
use crate::changes::operator::Operator;
use crate::connect::connection::Connection;
use crate::connect::dial::refuse_async_task;
use crate::connect::pool::LentConnection;
use crate::crashes::newcomer::Newcomer;
use crate::dependencies::round::look_now;
use crate::keys::stalled;
use crate::leases::Proof;
use crate::leases::settle::announce;
use crate::message::claimed::Held;
use crate::message::outcome::Outcome;
#[cfg(feature = "metrics")]
use crate::metrics::Sampling;
use crate::processes::crews::HasCrew;
use crate::receive::batch_message::BatchMessage;
use crate::receive::lease::by_hand::ByHand;
use crate::receive::lease::keeper::Kept;
use crate::receive::receivers::builder::{Enrollment, ReceiverBuilder};
use crate::receive::receivers::receiver::Receiver;
use crate::receive::shared_state::{Base, SharedState};
use crate::receive::vitals::VitalSigns;
use crate::request::requests::Requests;
use crate::schema::migrate;
use crate::schema::name::SchemaName;
use crate::session::messaging_session::MessagingSession;
use crate::surface::core::Core;
use crate::tallies;
use crate::upkeep::catch_up::catch_up;
use crate::upkeep::thread::Errands;
use crate::words::topic;
use crate::words::{HandlerError, Message, OnEnd, Result};
use serde::de::DeserializeOwned;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The message system of one database, as one process sees it.
///
/// Cheap to clone, so that all threads can share it. Connections are opened when they are needed.
/// It starts one thread at once, which watches for silence, three small helpers of the pool with
/// the first session, one with the first send, which notifies other processes, two with the first
/// receiver, and one while requests wait for replies.
/// They end when the last clone and the last receiver are dropped, and those drops wait for them.
#[derive(Clone)]
pub struct Messaging {
    core: Arc<Core>,
    /// In whose name it changes something; `None`: in nobody's.
    operator: Option<Arc<Operator>>,
}

// A panic on its way through leaves nothing half done: what is locked is made of whole steps and
// used on after a panic, a session's transaction is rolled back, and a connection that was left
// inside of one is not used again.
impl UnwindSafe for Messaging {}
impl RefUnwindSafe for Messaging {}

impl Messaging {
    pub(crate) fn new(core: Core, operator: Option<Operator>) -> Self {
        Messaging {
            core: Arc::new(core),
            operator: operator.map(Arc::new),
        }
    }

    /// Returns a clone that makes changes in the name of an operator, which are noted in the [list
    /// of changes](Self::changes). Shares everything with this one; cheap.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use outtray::Operator;
    ///
    /// let ada = messaging.as_operator(Operator::new("ada").address("10.0.0.7"));
    /// ada.topic("orders").pause()?;
    /// # Ok(()) }
    /// ```
    pub fn as_operator(&self, operator: Operator) -> Self {
        Messaging {
            core: Arc::clone(&self.core),
            operator: Some(Arc::new(operator)),
        }
    }

    /// Returns in whose name it changes something, if in anybody's.
    pub(crate) fn operator(&self) -> Option<&Operator> {
        self.operator.as_deref()
    }

    /// Creates or upgrades the schema. Returns the names of the migrations that were applied.
    ///
    /// Also installs the SQL functions, for programs in other languages, that are not those of this
    /// release, and returns them as `function send`. Those of a later release stay.
    ///
    /// Also moves sequences that are behind their tables, and returns them as `sequence
    /// message_seq`. Logical replication and partial restores leave such sequences, since they copy
    /// rows but no values of sequences. Until then sends fail with
    /// [`SequenceBehind`](crate::ErrorKind::SequenceBehind), or get in before what was sent
    /// earlier.
    ///
    /// Idempotent, and safe to call from several processes at once: one applies the migrations, the
    /// others block until it is done. Each migration waits for its table locks for 2 s at a time,
    /// up to 20 times, so that the queue never stands still for long.
    ///
    /// # Errors
    /// `SchemaNewer` when the schema is of a later release, `Denied` without the privilege to
    /// create, `Database` when the locks never became free, `Unavailable`, `PoolExhausted`.
    pub fn migrate(&self) -> Result<Vec<String>> {
        self.with_idle(|connection| migrate::migrate(connection.client(), self.schema()))
    }

    /// Returns the names of the migrations that [`migrate`](Messaging::migrate) would apply, of the
    /// functions that it would install, and of the sequences that it would move. Empty when the
    /// schema is up to date.
    ///
    /// # Errors
    /// `SchemaNewer`, `Unavailable`, `PoolExhausted`.
    pub fn pending_migrations(&self) -> Result<Vec<String>> {
        self.with_idle(|connection| migrate::pending(connection.client(), self.schema()))
    }

    /// Checks that the database answers, and that its schema is the one that this release needs, as
    /// a receiver does when it starts. One small query.
    ///
    /// # Errors
    /// `SchemaMissing` when the schema is not there or has to be [migrated](Self::migrate),
    /// `SchemaNewer`, `Unavailable`, `PoolExhausted`.
    pub fn check_schema(&self) -> Result<()> {
        self.with_idle(|connection| migrate::check(connection.client(), self.schema()))
    }

    /// Returns the SQL that creates the schema `schema` from scratch in one transaction, to apply
    /// it by hand. Does not use a database.
    ///
    /// # Errors
    /// `Invalid` for a bad schema name.
    pub fn schema_sql(schema: &str) -> Result<String> {
        Ok(migrate::script(&SchemaName::parse(schema)?))
    }

    /// Starts a pool of threads that runs `handler` for each message of a topic, with all defaults;
    /// see [`receiver`](Messaging::receiver) for options. Keep the returned receiver: the threads
    /// stop when it is dropped.
    ///
    /// # Errors
    /// The same as [`ReceiverBuilder::start`].
    pub fn start_receiving_messages<T, F>(&self, topic: &str, handler: F) -> Result<Receiver>
    where
        T: DeserializeOwned,
        F: Fn(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.receiver(topic).start(handler)
    }

    /// Starts a pool of threads that runs `handler` for up to `size` messages of a topic at a time,
    /// 1 to 1,000, in one transaction with their acknowledgement, with all defaults. See
    /// [`start_batches`](ReceiverBuilder::start_batches) for what a batch is.
    ///
    /// # Errors
    /// The same as [`ReceiverBuilder::start_batches`].
    pub fn start_receiving_batches<T, F>(
        &self,
        topic: &str,
        size: usize,
        handler: F,
    ) -> Result<Receiver>
    where
        T: DeserializeOwned,
        F: Fn(&mut MessagingSession<'_>, &[BatchMessage<T>]) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.receiver(topic).start_batches(size, handler)
    }

    /// Returns a builder for a receiver with options.
    pub fn receiver(&self, topic: &str) -> ReceiverBuilder<'_> {
        let enroll = |shared: &SharedState| {
            let configs = &self.core.base.process.configs;
            self.prepare(|_| configs.refuse_log(&shared.topic))?;
            self.enroll(shared)
        };
        ReceiverBuilder::new(topic, self.core.base.clone(), Box::new(enroll))
    }

    /// Gets ready for a receiver: checks the schema, reads the settings, and does what is left to
    /// do before.
    pub(crate) fn prepare(&self, before: impl FnOnce(&mut Connection) -> Result<()>) -> Result<()> {
        self.with_idle(|connection| {
            migrate::check(connection.client(), self.schema())?;
            // A limit, or a pause, holds for the first claim too.
            self.core.base.process.configs.read(connection)?;
            before(connection)
        })
    }

    /// Records a receiver.
    pub(crate) fn enroll(&self, shared: &SharedState) -> Result<Enrollment> {
        let errands = self.core.errands()?;
        let (enrolled, care) = errands.enroll(&Newcomer {
            topic: shared.topic.clone(),
            is_strict: shared.options.is_strict,
            most: shared.most_in_hand(),
            hands: Arc::clone(&shared.hands),
            state: shared.state().1,
        })?;
        let receiver = enrolled.id;
        // The receiver keeps the process's threads alive as long as it runs.
        let core = Arc::clone(&self.core);
        let farewell = move |timeout| {
            errands.sign_off(enrolled, timeout);
            drop(core);
        };
        Ok(Enrollment {
            receiver,
            care,
            farewell: Box::new(farewell),
        })
    }

    /// Wakes a worker of each receiver of a topic, here and in other processes. Call it after the
    /// COMMIT of a transaction that [`MessagingSession::join`] took part in, since outtray cannot
    /// know about that COMMIT. Without it, receivers find the messages when they poll next. Never
    /// blocks; a name that no topic can have wakes nobody.
    pub fn wake(&self, topic: &str) {
        // One that does not fit a notification would take those with it that travel together.
        if topic::check(topic).is_ok() {
            self.core.base.waker.ready(topic, 1);
        }
    }

    /// Has the process's threads watch for the ends of messages; they start now if they did not.
    pub(crate) fn watch_ends(&self) -> Result<()> {
        self.core.errands()?.watch();
        Ok(())
    }

    /// Looks at what comes after messages that may have ended: by the upkeep thread if there is
    /// one, else here. Whatever fails is found by a sweep.
    pub(crate) fn look_after(&self, connection: &mut Connection, ended: Vec<Uuid>) {
        let base = &self.core.base;
        if self.core.running_errands().is_some() {
            return base.waker.look_at(ended);
        }
        look_now(connection, &base.waker, &ended);
    }

    /// Announces what was settled by hand, and looks at what comes after it.
    pub(crate) fn announce_settled<'a>(
        &self,
        connection: &mut Connection,
        topic: &str,
        settled: impl Iterator<Item = (&'a Proof, &'a Outcome)> + Clone,
    ) {
        announce(&self.base().waker, topic, settled.clone());
        self.look_after_settled(connection, settled.map(|(proof, _)| &proof.held));
    }

    /// Looks after messages that were in hand here and are settled, of which the waker tells the
    /// thread, if there is one.
    pub(crate) fn look_after_settled<'a>(
        &self,
        connection: &mut Connection,
        settled: impl Iterator<Item = &'a Held>,
    ) {
        if self.core.running_errands().is_some() {
            return;
        }
        let tracked = settled.filter(|held| held.on_end.has(OnEnd::TRACKED));
        let ended: Vec<Uuid> = tracked.map(|held| held.id.0).collect();
        if !ended.is_empty() {
            look_now(connection, &self.base().waker, &ended);
        }
    }

    /// Moves due messages of all topics, and the lines of stalled keys; returns whether there were
    /// any.
    pub(crate) fn move_due(&self, connection: &mut Connection) -> Result<bool> {
        if let Some(after) = self.by_hand().takes_sweep() {
            let (_, next) = stalled::sweep(connection, &after)?;
            self.by_hand().note_swept(next);
        }
        tallies::write_if_due(connection, &self.base().process.observers);
        catch_up(&mut self.base().upkeep(connection), |work| {
            let (_, removed) = ends::remove_asked(work.connection)?;
            removed.announce(work.waker);
            removed.tell(&work.waker.observers);
            self.look_after(work.connection, removed.tracked());
            Ok(())
        })
    }

    pub(crate) fn pooled(&self) -> Result<LentConnection> {
        self.core.pool.get()
    }

    pub(crate) fn pooled_within(&self, timeout: Duration) -> Result<LentConnection> {
        self.core.pool.get_within(timeout)
    }

    /// Returns what records how the process is, if anything does.
    #[cfg(feature = "metrics")]
    pub(crate) fn sampling(&self) -> Option<&Sampling> {
        self.core.sampling()
    }

    /// Returns where to see how the process is.
    pub(crate) fn vital_signs(&self) -> VitalSigns {
        self.core.vital_signs()
    }

    pub(crate) fn requests(&self) -> &Requests {
        &self.core.requests
    }

    pub(crate) fn by_hand(&self) -> &ByHand {
        &self.core.by_hand
    }

    /// Has the process keep a lease alive.
    pub(crate) fn keep_alive(&self, kept: Kept) -> Result<()> {
        let Base { dedicated, .. } = &self.core.base;
        self.core.by_hand.keeper.keep(kept, dedicated)
    }

    /// Returns the way to the upkeep thread, which starts now if it did not.
    pub(crate) fn errands(&self) -> Result<Errands> {
        self.core.errands()
    }

    /// Runs one thing on a connection that lies idle, or on one of the pool: none is opened, and no
    /// thread starts, for what is done once at the start of a process.
    fn with_idle<R>(&self, work: impl FnOnce(&mut Connection) -> Result<R>) -> Result<R> {
        refuse_async_task()?;
        let dedicated = &self.core.base.dedicated;
        let idle = match self.core.pool.is_lent() {
            true => None,
            false => dedicated.take_idle(),
        };
        let Some(mut connection) = idle else {
            return work(&mut *self.pooled()?);
        };
        let done = work(&mut connection)?;
        dedicated.give_back(connection);
        Ok(done)
    }

    /// Runs one thing on a connection of the pool.
    pub(crate) fn with_connection<R>(
        &self,
        work: impl FnOnce(&mut Connection, &Base) -> Result<R>,
    ) -> Result<R> {
        let mut connection = self.pooled()?;
        work(&mut connection, &self.core.base)
    }

    /// Has the process's upkeep ask the database now, if it runs.
    #[cfg(feature = "cron")]
    pub(crate) fn look(&self) {
        if let Some(errands) = self.core.running_errands() {
            errands.look();
        }
    }

    fn schema(&self) -> &SchemaName {
        &self.core.base.dedicated.settings().schema
    }

    pub(crate) fn base(&self) -> &Base {
        &self.core.base
    }
}

impl fmt::Debug for Messaging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.core.base.dedicated.settings();
        f.debug_struct("Messaging")
            .field("database", &settings.target)
            .field("schema", &settings.schema.as_str())
            .finish_non_exhaustive()
    }
}
