//! Options of a receiver, one method each.

use crate::receive::batch;
use crate::receive::batch_message::BatchMessage;
use crate::receive::handler::{self, SharedHandler};
use crate::receive::lease::claim::check_lease;
use crate::receive::lease::heartbeat::LEAST_BEATEN_LEASE;
use crate::receive::line::{Base, Line};
use crate::receive::options::Options;
use crate::receive::receiver::{Farewell, Receiver};
use crate::session::messaging_session::MessagingSession;
use crate::words::filter::Filter;
use crate::words::handler_error::HandlerError;
use crate::words::message::Message;
use crate::words::retry::Backoff;
use crate::words::topic;
use crate::words::{Error, Result};
use serde::de::DeserializeOwned;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

/// Records a receiver.
pub(crate) type Enroll<'m> = Box<dyn FnOnce(&Line) -> Result<Enrollment> + 'm>;

/// What a receiver learns that was recorded.
pub(crate) struct Enrollment {
    /// Its row.
    pub(crate) receiver: i64,
    /// For how long its topic is suspect.
    pub(crate) suspect_for: Duration,
    /// How to sign it off.
    pub(crate) farewell: Farewell,
}

/// A receiver that is being set up; [`start`](ReceiverBuilder::start) runs it. Does nothing by
/// itself.
#[must_use = "nothing happens before start"]
pub struct ReceiverBuilder<'m> {
    pub(crate) topic: String,
    pub(crate) base: Base,
    pub(crate) options: Options,
    enroll: Enroll<'m>,
}

// What it holds runs when it is used up, and not before.
impl UnwindSafe for ReceiverBuilder<'_> {}
impl RefUnwindSafe for ReceiverBuilder<'_> {}

impl<'m> ReceiverBuilder<'m> {
    pub(crate) fn new(topic: &str, base: Base, enroll: Enroll<'m>) -> Self {
        ReceiverBuilder {
            topic: topic.to_owned(),
            base,
            options: Options::default(),
            enroll,
        }
    }

    /// Sets the number of threads, each with a connection of its own while it is busy. Default 4;
    /// 1 to 1024.
    ///
    /// All of them are at work when handlers are slow. Of handlers that take under 20 ms only as
    /// many run at a time as help: more would keep each other from the database. The receiver finds
    /// that number while there is more to do than it can; it begins with 8.
    pub fn workers(mut self, workers: usize) -> Self {
        self.options.workers = workers;
        self
    }

    /// Sets after how many failed attempts a message becomes a dead letter. Default 10; 1 to 32767.
    ///
    /// An attempt that ends with the death of its process counts only while the topic is suspect:
    /// from when a process was found dead that may have had messages in hand until those have
    /// ended, four minutes at most. So a message that kills its process does so once more than this
    /// (twice more if this is 1), and once more for each further process that claimed it before the
    /// first death was noticed. Messages that were only in hand beside it are not charged. Under a
    /// [`lease`](Self::lease) each counts.
    ///
    /// A message that failed this often already, since the limit was higher then, is not begun once
    /// more.
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
    /// Messages that share a transaction still succeed and fail apart, each in its own savepoint.
    /// What they share is the commit, and the time until it.
    pub fn messages_per_transaction(mut self, count: usize) -> Self {
        self.options.per_transaction = Some(count);
        self
    }

    /// Handles the topic's messages strictly one after the other, over all processes: the next is
    /// not begun before the one before it is acked or dead, and a failed one keeps its place while
    /// it waits for its retry. All receivers of the topic must ask for it. Each has one
    /// worker then, whatever [`workers`](Self::workers) says.
    ///
    /// Priorities still come first: a more urgent message goes before one that waits for its retry.
    /// Delayed and redriven messages queue at the end when their time comes. Of two transactions
    /// that send at the same time, the one that stored first may commit last; its message is
    /// handled when it is there.
    pub fn strict_order(mut self) -> Self {
        self.options.is_strict = true;
        self
    }

    /// Takes only messages whose headers match; the others stay for other receivers of the topic.
    /// Default: all. A topic whose messages no receiver takes fills up.
    ///
    /// Headers are not indexed: a claim walks over what does not match, at a few microseconds each,
    /// seconds for a million. Looks that find nothing take 10 % of the time at most, so a message
    /// waits up to nine times as long as one look took. Where most of many messages are for others,
    /// topics of their own are the better way.
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
    /// take long, such as calls of other services. 100 ms to a day; `None` for the topic's
    /// [`lease`](crate::TopicConfig::lease), else 30 s.
    ///
    /// No transaction is open while the handler runs, unless it uses its session: the first
    /// statement begins one. What the handler writes and sends commits together with the
    /// acknowledgement, as ever; if the lease was lost meanwhile, all of it is rolled back. A
    /// thread of the receiver prolongs the leases in hand at a third of their time, so that a
    /// handler may take as long as it likes. [`Message::is_cancelled`] tells it of a cancel at
    /// once, and of a lost lease at the next beat. The time is what others wait for the message
    /// when this process dies: 30 to 60 s suit most.
    ///
    /// An attempt counts from the lease on, so a message that kills its process is a dead letter
    /// after
    /// [`max_attempts`](Self::max_attempts) deliveries. A quick worker leases several messages at a time, as with
    /// [`messages_per_transaction`](Self::messages_per_transaction), and settles each alone. What it did not begin goes
    /// back, no attempt spent, when the one before takes long (unless their number was set), at a
    /// stop and in a pause. Those that were leased with one that kills its process are charged with
    /// it, once: what was delivered before goes alone, and so does all with a single attempt. Not
    /// together with [`strict_order`](Self::strict_order).
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

    /// Sets from which duration on a handler is logged as holding its transaction too long. Default
    /// 10 s. Under a
    /// [`lease`](Self::lease) the transaction begins when the handler first uses its session.
    pub fn warn_after(mut self, duration: Duration) -> Self {
        self.options.slow_handler = duration;
        self
    }

    /// Starts the threads. Blocks until the receiver is recorded in the database, 30 s at most.
    ///
    /// The handler is called by several threads at once. It gets the session of the transaction
    /// that holds its message. `Ok(())` commits its writes, its sends and the acknowledgement
    /// together; an error or a panic undoes them and the message is tried again with backoff, or
    /// kept as a dead letter past the limit. A payload that does not fit `T` becomes a dead letter
    /// at once, and the handler is not called. [`Payload`](crate::Payload) and `serde_json::Value`
    /// for JSON fit always.
    ///
    /// The transaction is open all the while. A handler that leaves it idle for ten minutes is cut
    /// off by the server, which the third time counts as a failed attempt.
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
        let line = line(&self.topic, self.base, self.options)?;
        let handler: Box<SharedHandler> =
            Box::new(move |session, deliveries| handler::run(&mut &handler, session, deliveries));
        enroll_and_start(self.enroll, line, handler)
    }

    /// Starts the threads, for a handler of up to `size` messages at a time, 1 to 1,000. Blocks
    /// until the receiver is recorded in the database, 30 s at most.
    ///
    /// For handlers that get cheaper by the dozen: an INSERT of many rows, one request for many
    /// messages. The handler gets what is ready, in claim order, and waits for nothing to make a
    /// batch full. All is one transaction: the writes and sends of the handler, and the
    /// acknowledgement of all its messages. `Ok(())` acks each message but those of which the
    /// handler said something else with [`BatchMessage::retry`],
    /// [`reject`](BatchMessage::reject) or the like.
    ///
    /// An error or a panic undoes all, and each message of the batch has failed once. A message
    /// that failed before, by itself or with its batch, is handled alone from then on, in a batch
    /// of one; so one message that cannot be handled does not take its batch-mates to the dead
    /// letters. For the same reason all batches are of one when
    /// [`max_attempts`](Self::max_attempts) is 1, and a message that was in hand when a process
    /// died is handled alone, too. A payload that does not fit `T` becomes a dead letter, and the
    /// others of its batch go on without it.
    ///
    /// The other options hold as for [`start`](Self::start). A transaction carries one batch, so
    /// [`messages_per_transaction`](Self::messages_per_transaction) has no place here.
    ///
    /// # Errors
    /// As [`start`](Self::start); `Invalid` also for a size out of range, for messages to a
    /// transaction, and for more than one message in strict order.
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
        let line = batch_line(&self.topic, self.base, self.options, size)?;
        let handler: Box<SharedHandler> =
            Box::new(move |session, deliveries| batch::run(&mut &handler, session, deliveries));
        enroll_and_start(self.enroll, line, handler)
    }
}

/// Records the receiver and starts its workers.
fn enroll_and_start(
    enroll: Enroll<'_>,
    mut line: Line,
    handler: Box<SharedHandler>,
) -> Result<Receiver> {
    let enrollment = enroll(&line)?;
    line.receiver = Some(enrollment.receiver);
    line.station.suspect(enrollment.suspect_for);
    Receiver::start(line, handler, enrollment.farewell)
}

/// Checks the settings and puts a receiver of batches together.
pub(crate) fn batch_line(topic: &str, base: Base, options: Options, size: usize) -> Result<Line> {
    batch::check(topic, size, &options)?;
    let mut line = line(topic, base, options)?;
    line.batch = Some(size);
    Ok(line)
}

/// Checks the settings and puts a receiver together.
pub(crate) fn line(topic: &str, base: Base, mut options: Options) -> Result<Line> {
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
    Ok(Line::new(topic, base, options))
}
