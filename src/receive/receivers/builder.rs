//! Options of a receiver, one method each.

use crate::crashes::newcomer::Caution;
use crate::receive::batch;
use crate::receive::batch_message::BatchMessage;
use crate::receive::handler::{self, SharedHandler};
use crate::receive::lease::claim::check_lease;
use crate::receive::leases_in_hand::LEAST_BEATEN_LEASE;
use crate::receive::middleware::Middleware;
use crate::receive::options::Options;
use crate::receive::receivers::receiver::{Farewell, Receiver};
use crate::receive::shared_state::{Base, SharedState};
use crate::session::messaging_session::MessagingSession;
use crate::words::retry::Backoff;
use crate::words::topic;
use crate::words::{Error, Filter, HandlerError, Message, Result};
use serde::de::DeserializeOwned;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

/// Records a receiver.
pub(crate) type Enroll<'m> = Box<dyn FnOnce(&SharedState) -> Result<Enrollment> + 'm>;

/// What a receiver learns that was recorded.
pub(crate) struct Enrollment {
    /// Its row.
    pub(crate) receiver: i64,
    /// How careful it is to be at first.
    pub(crate) care: Caution,
    /// How to sign it off.
    pub(crate) farewell: Farewell,
}

/// The options of a receiver; [`start`](ReceiverBuilder::start) runs it. Does nothing by itself.
#[must_use = "nothing happens before start"]
pub struct ReceiverBuilder<'m> {
    pub(crate) topic: String,
    pub(crate) base: Base,
    pub(crate) options: Options,
    pub(crate) middleware: Middleware,
    enroll: Enroll<'m>,
}

// What it holds runs when it is used up, and not before.
impl UnwindSafe for ReceiverBuilder<'_> {}
impl RefUnwindSafe for ReceiverBuilder<'_> {}

impl<'m> ReceiverBuilder<'m> {
    pub(crate) fn new(topic: &str, base: Base, enroll: Enroll<'m>) -> Self {
        ReceiverBuilder {
            topic: topic.to_owned(),
            middleware: base.middleware.clone(),
            base,
            options: Options::default(),
            enroll,
        }
    }

    /// Sets the number of threads, each with a connection of its own while it is busy. Default 4;
    /// 1 to 1024.
    ///
    /// All of them work when handlers are slow. If handlers take under 20 ms, only as many run at a
    /// time as help: more would compete for the database. The receiver finds that number during a
    /// backlog; it begins with 8.
    pub fn workers(mut self, workers: usize) -> Self {
        self.options.workers = workers;
        self
    }

    /// Sets the number of failed attempts after which a message becomes a dead letter. Default 10;
    /// 1 to 32767.
    ///
    /// An attempt that ends with the death of its process counts only while the topic is suspect:
    /// from when a process was found dead that may have had messages in hand, until those messages
    /// have ended, at most four minutes. So a message that kills its process does so once more than
    /// this limit (twice more if the limit is 1), and once more for each further process that
    /// claimed it before the first death was noticed. Messages that were only in hand beside it are
    /// not charged. Under a [`lease`](Self::lease) every attempt counts.
    ///
    /// A message that already failed this often, when the limit was higher, is not started again.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.options.max_attempts = attempts;
        self
    }

    /// Sets how long a failed message waits. Default: 1 s, doubling, at most 15 minutes, each ±10
    /// %.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.options.backoff = backoff;
        self
    }

    /// Sets how many messages share a transaction. Default: as many as handlers get done in about
    /// 10 ms, at most 64; 1 turns sharing off.
    ///
    /// Messages that share a transaction still succeed and fail separately, each in its own
    /// savepoint. They share the commit, and the time until it.
    pub fn messages_per_transaction(mut self, count: usize) -> Self {
        self.options.per_transaction = Some(count);
        self
    }

    /// Handles the topic's messages strictly one after the other, over all processes: the next
    /// message starts only when the one before it is handled or dead, and a failed message keeps
    /// its place while it waits for its retry. All receivers of the topic must ask for it. Each
    /// then has one worker, whatever [`workers`](Self::workers) says.
    ///
    /// Quick messages share transactions: a handler may begin when the one before it returned `Ok`,
    /// and both commit together. The first message that does not succeed is the last of its
    /// transaction; those that succeeded before it commit. With
    /// [`messages_per_transaction(1)`](Self::messages_per_transaction) a handler begins only after
    /// the COMMIT of the one before it.
    ///
    /// Priorities still come first: a more urgent message goes before one that waits for its retry.
    /// Delayed and redriven messages queue at the end when their time comes. Of two transactions
    /// that send at the same time, the one that stored first may commit last; its message is
    /// handled once it is there.
    pub fn strict_order(mut self) -> Self {
        self.options.is_strict = true;
        self
    }

    /// Takes only messages whose headers match; the others stay for other receivers of the topic.
    /// Default: all. A topic fills up if no receiver takes some of its messages.
    ///
    /// Headers are not indexed: a claim walks over messages that do not match, at a few
    /// microseconds each, seconds for a million. Claims that find no message take at most 10 % of
    /// the time, so a message waits up to nine times as long as one such claim took. If most of
    /// many messages are for other receivers, use separate topics.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let messaging = outtray::Messaging::connect("postgresql://localhost/app")?;
    /// use outtray::{Filter, Message};
    ///
    /// let receiver = messaging
    ///     .receiver("orders")
    ///     .filter(Filter::new().equals("region", "eu"))
    ///     .start(|_, message: Message| Ok(println!("{}", message.payload)))?;
    /// # Ok(()) }
    /// ```
    pub fn filter(mut self, filter: Filter) -> Self {
        self.options.filter = Some(filter);
        self
    }

    /// Leases messages for this long instead of holding them by a transaction: for handlers that
    /// take long, such as calls of other services. 100 ms to a day; `None` means the topic's
    /// [`lease`](crate::TopicConfig::lease), by default 30 s.
    ///
    /// No transaction is open while the handler runs, unless it uses its session: the first
    /// statement begins one. What the handler writes and sends still commits together with the
    /// acknowledgement; if the lease was lost meanwhile, all of it is rolled back. A thread of the
    /// receiver renews the leases in hand after each third of their time, so a handler may take as
    /// long as it likes. [`Message::is_cancelled`] tells it of a cancel at once, and of a lost
    /// lease at the next heartbeat. When this process dies, others wait for the message until its
    /// lease ends: 30 to 60 s suit most.
    ///
    /// An attempt counts from the lease on, so a message that kills its process becomes a dead
    /// letter after [`max_attempts`](Self::max_attempts) deliveries. A quick worker leases several
    /// messages at a time, as with [`messages_per_transaction`](Self::messages_per_transaction).
    /// Messages that it did not start go back without spending an attempt at a stop, in a pause,
    /// and when the message before them takes long (unless their number was set). Messages that
    /// were leased together with one that kills its process are charged with it, but only once: a
    /// message that was delivered before is leased alone, and so is every message with a single
    /// attempt. Cannot be combined with [`strict_order`](Self::strict_order).
    ///
    /// Messages whose handlers did not use their session are settled together: as soon as all that
    /// their worker leased is done, and otherwise within 10 ms after each handler returned. If the
    /// process dies in between, such a message is delivered again when its lease ends, as one whose
    /// handler had not returned.
    ///
    /// ```no_run
    /// # fn call(url: &str) -> Result<i32, std::io::Error> { Ok(1) }
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use outtray::Message;
    /// use std::time::Duration;
    ///
    /// let receiver = messaging
    ///     .receiver("calls")
    ///     .lease(Duration::from_secs(60))
    ///     .start(|session, message: Message<String>| {
    ///         let answer = call(&message.payload)?; // Minutes, maybe, and nothing is locked.
    ///         session.execute("INSERT INTO answer (n) VALUES ($1)", &[&answer])?;
    ///         Ok(())
    ///     })?;
    /// # Ok(()) }
    /// ```
    pub fn lease(mut self, lease: impl Into<Option<Duration>>) -> Self {
        self.options.is_leasing = true;
        self.options.lease = lease.into();
        self
    }

    /// Sets after how long a running handler is logged as holding its transaction too long. Default
    /// 10 s. Under a [`lease`](Self::lease) the transaction begins when the handler first uses its
    /// session.
    pub fn warn_after(mut self, duration: Duration) -> Self {
        self.options.slow_handler = duration;
        self
    }

    /// Starts the threads. Blocks until the receiver is recorded in the database, at most 30 s.
    ///
    /// Several threads call the handler at once. It gets the session of the transaction that holds
    /// its message. `Ok(())` commits its writes, its sends and the acknowledgement together. An
    /// error or a panic undoes them, and the message is tried again with backoff, or kept as a dead
    /// letter past the limit. A payload that does not fit `T` makes the message a dead letter at
    /// once, without calling the handler. [`Payload`](crate::Payload) always fits, and so does
    /// `serde_json::Value` for JSON.
    ///
    /// The transaction stays open while the handler runs. The server cuts off a handler that leaves
    /// it idle for ten minutes; the third time counts as a failed attempt.
    ///
    /// # Errors
    /// `Invalid` for a bad topic name or a setting out of range, `SchemaMissing`, `SchemaNewer`,
    /// `Unavailable`, `PoolExhausted`.
    pub fn start<T, F>(self, handler: F) -> Result<Receiver>
    where
        T: DeserializeOwned,
        F: Fn(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.start_with(|middleware| {
            Box::new(move |session, deliveries| {
                handler::run(&mut &handler, &middleware, session, deliveries)
            })
        })
    }

    /// Starts the threads with a handler of single messages, of which it only knows the form.
    pub(crate) fn start_with(
        self,
        handler: impl FnOnce(Middleware) -> Box<SharedHandler>,
    ) -> Result<Receiver> {
        self.middleware.check_one(&self.topic)?;
        let shared = set_up(&self.topic, self.base, self.options)?;
        enroll_and_start(self.enroll, shared, handler(self.middleware))
    }

    /// Starts the threads, for a handler of up to `size` messages at a time, 1 to 1,000. Blocks
    /// until the receiver is recorded in the database, at most 30 s.
    ///
    /// For handlers that are cheaper in bulk: an INSERT of many rows, one request for many
    /// messages. The handler gets the messages that are ready, in claim order, without waiting for
    /// a full batch. One transaction covers the writes and sends of the handler, and the
    /// acknowledgement of all its messages. `Ok(())` acks each message except those for which the
    /// handler decided otherwise with [`BatchMessage::retry`], [`reject`](BatchMessage::reject) or
    /// the like.
    ///
    /// An error or a panic undoes everything, and each message of the batch has failed once. From
    /// then on, a message that failed, by itself or with its batch, is handled alone, in a batch of
    /// one. So one message that cannot be handled does not take its neighbours to the dead letters.
    /// For the same reason all batches have one message when [`max_attempts`](Self::max_attempts)
    /// is 1, and a message that was in hand when a process died is handled alone too. A payload
    /// that does not fit `T` makes its message a dead letter, and the rest of the batch continues
    /// without it.
    ///
    /// The other options apply as for [`start`](Self::start). A transaction carries one batch, so
    /// [`messages_per_transaction`](Self::messages_per_transaction) cannot be set.
    ///
    /// # Errors
    /// The same as [`start`](Self::start); `Invalid` also for a size out of range, for a number of
    /// messages per transaction, and for more than one message in strict order.
    ///
    /// ```no_run
    /// # use outtray::{BatchMessage, Messaging};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let messaging = Messaging::connect("postgresql://localhost/app")?;
    /// let receiver = messaging.receiver("readings").workers(2).start_batches(
    ///     500,
    ///     |session, readings: &[BatchMessage<f64>]| {
    ///         let mut values = Vec::new();
    ///         for reading in readings {
    ///             match reading.payload < 0.0 {
    ///                 true => reading.reject("below zero"),
    ///                 false => values.push(reading.payload),
    ///             }
    ///         }
    ///         session.execute("INSERT INTO reading SELECT unnest($1::float8[])", &[&values])?;
    ///         Ok(())
    ///     },
    /// )?;
    /// # Ok(()) }
    /// ```
    pub fn start_batches<T, F>(self, size: usize, handler: F) -> Result<Receiver>
    where
        T: DeserializeOwned,
        F: Fn(&mut MessagingSession<'_>, &[BatchMessage<T>]) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.middleware.check_batches(&self.topic)?;
        let shared = set_up_batches(&self.topic, self.base, self.options, size)?;
        let middleware = self.middleware;
        let handler: Box<SharedHandler> = Box::new(move |session, deliveries| {
            batch::run(&mut &handler, &middleware, session, deliveries)
        });
        enroll_and_start(self.enroll, shared, handler)
    }
}

/// Records the receiver and starts its workers.
fn enroll_and_start(
    enroll: Enroll<'_>,
    mut shared: SharedState,
    handler: Box<SharedHandler>,
) -> Result<Receiver> {
    let enrollment = enroll(&shared)?;
    shared.receiver = Some(enrollment.receiver);
    enrollment.care.tell(&shared.station);
    Receiver::start(shared, handler, enrollment.farewell)
}

/// Checks the settings and puts a receiver of batches together.
pub(crate) fn set_up_batches(
    topic: &str,
    base: Base,
    options: Options,
    size: usize,
) -> Result<SharedState> {
    batch::check(topic, size, &options)?;
    let mut shared = set_up(topic, base, options)?;
    shared.batch = Some(size);
    Ok(shared)
}

/// Checks the settings and puts a receiver together.
pub(crate) fn set_up(topic: &str, base: Base, mut options: Options) -> Result<SharedState> {
    topic::check(topic)?;
    options.check()?;
    if let Some(filter) = &options.filter {
        filter.check(topic)?;
        if options.is_strict {
            return Err(Error::invalid(format!(
                "a receiver of topic {topic} in strict order cannot have a filter: the first message \
                 that does not match would hold up all others"
            )));
        }
    }
    if let Some(lease) = options.lease {
        check_lease(topic, lease, LEAST_BEATEN_LEASE)?;
    }
    if options.is_leasing && options.is_strict {
        return Err(Error::invalid(format!(
            "topic {topic} cannot be received in strict order under leases: leave out one of the two"
        )));
    }
    if options.is_strict {
        // Others could only wait for the turn, and miss a wake-up while it changes hands.
        options.workers = 1;
    }
    Ok(SharedState::new(topic, base, options))
}
