//! Options of a receiver, one method each.

use crate::receive::drain;
use crate::receive::handler::{Handler, erase};
use crate::receive::line::{Base, Line};
use crate::receive::options::Options;
use crate::receive::receiver::{Farewell, Receiver};
use crate::session::messaging_session::MessagingSession;
use crate::words::filter::Filter;
use crate::words::handler_error::HandlerError;
use crate::words::message::Message;
use crate::words::outcome::DrainReport;
use crate::words::retry::Backoff;
use crate::words::topic;
use crate::words::{Error, Result};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Records a receiver of a topic. Returns for how long the topic is suspect, and how to sign the
/// receiver off.
pub(crate) type Enroll<'m> = Box<dyn FnOnce(&str, bool) -> Result<(Duration, Farewell)> + 'm>;

/// A receiver that is being set up; [`start`](ReceiverBuilder::start) runs it. Does nothing by itself.
#[must_use = "nothing happens before start"]
pub struct ReceiverBuilder<'m> {
    topic: String,
    base: Base,
    options: Options,
    enroll: Enroll<'m>,
}

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
    /// All of them are at work when handlers are slow. Of handlers that take under 20 ms only as many
    /// run at a time as help: more would keep each other from the database. The receiver finds that
    /// number while there is more to do than it can; it begins with 8.
    pub fn workers(mut self, workers: usize) -> Self {
        self.options.workers = workers;
        self
    }

    /// Sets after how many failed attempts a message becomes a dead letter. Default 10; 1 to 32767.
    ///
    /// An attempt that ends with the death of its process counts only while the topic is suspect, from
    /// when a death was first noticed until none was for a minute. So a message that kills its process
    /// does so once more than this, and once more for each further process that claimed it before the
    /// first death was noticed.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.options.max_attempts = attempts;
        self
    }

    /// Sets how long a failed message waits. Default: 1 s, doubling, at most 15 minutes, each ±10 %.
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
    /// Delayed and redriven messages queue at the end when their time comes. Of two transactions that
    /// send at the same time, the one that stored first may commit last; its message is handled when it
    /// is there.
    pub fn strict_order(mut self) -> Self {
        self.options.is_strict = true;
        self
    }

    /// Takes only messages whose headers match; the others stay for other receivers of the topic. Default:
    /// all. A topic whose messages no receiver takes fills up.
    ///
    /// Headers are not indexed: a claim walks over what does not match, at a few microseconds each, seconds
    /// for a million. Looks that find nothing take 10 % of the time at most, so a message waits up to nine
    /// times as long as one look took. Where most of many messages are for others, topics of their own
    /// are the better way.
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

    /// Sets from which duration on a handler is logged as holding its transaction too long.
    /// Default 10 s.
    pub fn warn_after(mut self, duration: Duration) -> Self {
        self.options.slow_handler = duration;
        self
    }

    /// Starts the threads. Blocks until the receiver is recorded in the database, 30 s at most.
    ///
    /// The handler is called by several threads at once. It gets the session of the transaction that
    /// holds its message. `Ok(())` commits its writes, its sends and the acknowledgement together; an
    /// error or a panic undoes them and the message is tried again with backoff, or kept as a dead letter
    /// past the limit. A payload that does not fit `T` becomes a dead letter at once, and the handler is
    /// not called. [`Payload`](crate::Payload) and `serde_json::Value` for JSON fit always.
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
        let (is_strict, enroll) = (self.options.is_strict, self.enroll);
        let line = line(&self.topic, self.base, self.options, erase(handler))?;
        let (suspect_for, farewell) = enroll(&self.topic, is_strict)?;
        line.station.suspect(suspect_for);
        Receiver::start(line, farewell)
    }

    /// Handles the topic's messages on this thread until none is ready or due, and says what became
    /// of them. For tests and batch jobs; see [`Messaging::drain`](crate::Messaging::drain).
    ///
    /// # Errors
    /// `Invalid` for a bad topic name, a setting out of range, or strict order, which a drain does not
    /// keep; and those of [`Messaging::drain`](crate::Messaging::drain).
    pub fn drain<T, F>(self, handler: F) -> Result<DrainReport>
    where
        T: DeserializeOwned,
        F: Fn(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        if self.options.is_strict {
            return Err(Error::invalid(format!(
                "topic {} cannot be drained in strict order, start a receiver",
                self.topic
            )));
        }
        drain::drain(&line(&self.topic, self.base, self.options, erase(handler))?)
    }
}

/// Checks the settings and puts a receiver together.
fn line(topic: &str, base: Base, mut options: Options, handler: Box<Handler>) -> Result<Line> {
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
    if options.is_strict {
        // Others could only wait for the turn, and miss a wake-up while it changes hands.
        options.workers = 1;
    }
    Ok(Line::new(topic, base, options, handler))
}
