//! Options of a reader of a log, one method each.

use crate::log::readers::MAX_LANES;
use crate::receive::handler::{self, Attempt, SharedHandler};
use crate::receive::log::entries::{self, EntryHandler, EntryTerms};
use crate::receive::log::reader;
use crate::receive::log::reading::LogReading;
use crate::receive::middleware::Middleware;
use crate::receive::options::Options;
use crate::receive::receivers::builder::{Enrollment, set_up};
use crate::receive::receivers::receiver::{Companion, Receiver};
use crate::receive::shared_state::{Base, SharedState};
use crate::session::messaging_session::MessagingSession;
use crate::wake::board::Station;
use crate::words::handler_error::HandlerError;
use crate::words::log_position::Position;
use crate::words::message::Message;
use crate::words::panics::CallersValue;
use crate::words::retry::Backoff;
use crate::words::topic;
use crate::words::{Error, Result};
use serde::de::DeserializeOwned;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::slice::from_ref;
use std::sync::Arc;
use std::time::Duration;

/// The most entries of a batch: they are in memory at once, with their payloads.
const MAX_BATCH: usize = 5_000;

/// Makes sure that there is a reader, and records who reads.
pub(crate) type EnrollReader<'m> = Box<dyn FnOnce(&ReaderWish<'_>) -> Result<Enrollment> + 'm>;

/// The reader that is wanted.
pub(crate) struct ReaderWish<'a> {
    pub(crate) log: &'a str,
    pub(crate) name: &'a str,
    pub(crate) lanes: usize,
    pub(crate) from: Position,
    pub(crate) side: &'a SharedState,
}

/// The options of a named reader of a log; [`start`](ReaderBuilder::start) runs it. Does nothing by
/// itself.
#[must_use = "nothing happens before start"]
pub struct ReaderBuilder<'m> {
    pub(super) log: String,
    name: String,
    base: Base,
    options: Options,
    batch: usize,
    lanes: usize,
    from: Position,
    pub(super) middleware: Middleware,
    enroll: EnrollReader<'m>,
}

// What it holds runs when it is used up, and not before.
impl UnwindSafe for ReaderBuilder<'_> {}
impl RefUnwindSafe for ReaderBuilder<'_> {}

impl<'m> ReaderBuilder<'m> {
    pub(crate) fn new(log: &str, name: &str, base: Base, enroll: EnrollReader<'m>) -> Self {
        ReaderBuilder {
            log: log.to_owned(),
            name: name.to_owned(),
            middleware: base.middleware.clone(),
            base,
            options: Options::default(),
            batch: 500,
            lanes: 1,
            from: Position::Start,
            enroll,
        }
    }

    /// Sets where a reader begins that is new. Default [`Position::Start`]: with the oldest entry
    /// that is kept. A reader that exists goes on where it is; [`seek`](crate::Topic::seek) moves
    /// it.
    pub fn from(mut self, position: Position) -> Self {
        self.from = position;
        self
    }

    /// Sets the most entries that the handler gets at a time. Default 500; 1 to 5,000.
    ///
    /// It gets what is there, without waiting for a full batch. A transaction carries one batch, or
    /// as many as are handled in 10 ms, 2,000 entries at most, where the handler does not use
    /// its session: so many are handled again after a crash. Some batches are read ahead, a
    /// megabyte of payloads at most.
    pub fn batch_size(mut self, entries: usize) -> Self {
        self.batch = entries;
        self
    }

    /// Sets into how many lanes the log is split, by the keys of its entries. Default 1; 1 to 256.
    ///
    /// Each lane has a place and a thread of its own, so that as many batches are handled at the
    /// same time. The order of entries with the same key stays; that of others does not, and
    /// entries without a key are spread over the lanes. Each lane reads past the entries of the
    /// others. The number is fixed when the reader is made.
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = lanes;
        self
    }

    /// Sets the number of failed attempts after which an entry becomes a dead letter of this
    /// reader. Default 10; 1 to 32767. The settings of the topic `LOG@READER` count before it.
    ///
    /// Calls of the handler with a whole batch, or a part of one, are no attempts; the first is the
    /// one with the entry alone. An entry that kills its process does so at most once more than
    /// this limit (twice more if the limit is 1), and once more for each further process that had
    /// the lane before the first death was noticed.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.options.max_attempts = attempts;
        self
    }

    /// Sets how long a failed entry waits for its next attempt. Default: 1 s, doubling, at most 15
    /// minutes, each ±10 %.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.options.backoff = backoff;
        self
    }

    /// Sets after how long a running handler is logged as holding its transaction too long. Default
    /// 10 s.
    pub fn warn_after(mut self, duration: Duration) -> Self {
        self.options.slow_handler = duration;
        self
    }

    /// Starts the threads. Blocks until the reader is recorded in the database, at most 30 s.
    ///
    /// The handler gets the entries of the log in its order, each batch after the one before. Its
    /// session is that of the transaction which also moves the reader's place: `Ok(())` commits its
    /// writes, its sends and the place together, so that effects in the database happen once for
    /// each entry. Several processes may read under one name; each lane is read by one of them at a
    /// time, and another takes over when it ends or dies.
    ///
    /// **A batch that fails**, by an error, a panic or a statement that the database refuses, is
    /// undone and narrowed down: halves are handled by themselves, and so on, until the entry at
    /// fault is alone. It is put aside, into the topic `LOG@READER`, where it is tried again with
    /// backoff, by the same handler with a slice of one entry, and past the limit it is a dead
    /// letter of that topic, to be looked at and redriven as any other. Meanwhile the reader goes
    /// on. Entries with the same key as one that is aside follow it there, so that their order
    /// stays; entries without a key do not wait. An entry that does not fit `T` is a dead letter at
    /// once. [`Message::log_position`] is `None` for an entry that was put aside.
    ///
    /// The transaction stays open while the handler runs. The server cuts off a handler that leaves
    /// it idle for ten minutes.
    ///
    /// # Errors
    /// `Invalid` for a bad name or an option out of range, for a topic that is no log, and for
    /// another number of lanes than the reader has; `PositionGone` if a new reader is to begin
    /// with what is not kept any more; `SchemaMissing`, `SchemaNewer`, `Unavailable`,
    /// `PoolExhausted`.
    ///
    /// ```no_run
    /// # use outtray::{Message, Messaging, Position};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let messaging = Messaging::connect("postgresql://localhost/app")?;
    /// let reader = messaging.reader("ledger", "billing").from(Position::Now).start(
    ///     |session, entries: &[Message<i64>]| {
    ///         let cents: Vec<i64> = entries.iter().map(|entry| entry.payload).collect();
    ///         session.execute("INSERT INTO bill SELECT unnest($1::bigint[])", &[&cents])?;
    ///         Ok(())
    ///     },
    /// )?;
    /// # Ok(()) }
    /// ```
    pub fn start<T, F>(mut self, handler: F) -> Result<Receiver>
    where
        T: DeserializeOwned,
        F: Fn(&mut MessagingSession<'_>, &[Message<T>]) -> Result<(), HandlerError>
            + Send
            + Sync
            + 'static,
    {
        self.options.workers = self.lanes;
        let side_topic = check(&self.log, &self.name, self.batch, self.lanes)?;
        let mut side = set_up(&side_topic, self.base, self.options)?;
        let enrollment = (self.enroll)(&ReaderWish {
            log: &self.log,
            name: &self.name,
            lanes: self.lanes,
            from: self.from,
            side: &side,
        })?;
        side.receiver = Some(enrollment.receiver);
        enrollment.care.tell(&side.station);
        let handler = Arc::new(handler);
        let terms = EntryTerms {
            topic: self.log.clone(),
            reader: self.name.clone(),
            max_attempts: side.options.max_attempts,
            middleware: self.middleware,
        };
        let aside = on_aside(Arc::clone(&handler), terms.clone());
        let lanes = on_lanes(handler, terms);
        let stations = (0..self.lanes).map(|_| Arc::new(Station::new(&self.log, 1)));
        let side = Arc::new(side);
        let slices = (self.lanes == 1).then(|| side.base.logs.of(&self.log));
        let reading = Arc::new(LogReading {
            slices,
            stations: stations.collect(),
            handler: CallersValue::new(lanes),
            log: self.log,
            name: self.name,
            lanes: self.lanes,
            batch: self.batch,
            side: Arc::clone(&side),
        });
        let companions = (0..self.lanes)
            .map(|lane| companion(&reading, lane))
            .collect();
        for station in &reading.stations {
            reading.side.base.waker.board.add(station);
            station.ring(1);
        }
        Receiver::start_with(side, aside, enrollment.farewell, &reading.log, companions)
    }
}

/// Checks the options; returns the name of the topic for what is put aside.
fn check(log: &str, name: &str, batch: usize, lanes: usize) -> Result<String> {
    topic::check(log)?;
    let side = format!("{log}@{name}");
    topic::check(&side).map_err(|error| {
        let text = format!(
            "\"{}\" is no name of a reader of topic {log}",
            name.escape_debug()
        );
        Error::invalid(text).because(error)
    })?;
    if name.is_empty() {
        return Err(Error::invalid(format!(
            "a reader of topic {log} needs a name"
        )));
    }
    // `b@c` of log `a`, and `c` of log `a@b`, would put aside into one topic.
    if name.contains('@') {
        return Err(Error::invalid(format!(
            "reader {name} of topic {log} has an @ in its name, which stands before the name where entries are put aside"
        )));
    }
    let limits = [
        ("batch_size", batch, MAX_BATCH),
        ("lanes", lanes, MAX_LANES),
    ];
    for (what, found, most) in limits {
        if found == 0 || found > most {
            return Err(Error::invalid(format!(
                "{what} of reader {name} of topic {log} is {found}, it must be 1 to {most}"
            )));
        }
    }
    Ok(side)
}

/// Returns what is run for an entry that was put aside.
fn on_aside<T, F>(handler: Arc<F>, terms: EntryTerms) -> Box<SharedHandler>
where
    T: DeserializeOwned,
    F: Fn(&mut MessagingSession<'_>, &[Message<T>]) -> Result<(), HandlerError>
        + Send
        + Sync
        + 'static,
{
    Box::new(move |session, deliveries| {
        let mut one = |session: &mut MessagingSession<'_>, message: Message<T>| {
            handler(session, from_ref(&message))
        };
        let of_log: Vec<Attempt<'_>> = deliveries
            .iter()
            .map(|delivery| delivery.on_topic(&terms.topic))
            .collect();
        handler::run(&mut one, &terms.middleware, session, &of_log)
    })
}

/// Returns what is run for the entries of the log.
fn on_lanes<T, F>(handler: Arc<F>, terms: EntryTerms) -> Box<EntryHandler>
where
    T: DeserializeOwned,
    F: Fn(&mut MessagingSession<'_>, &[Message<T>]) -> Result<(), HandlerError>
        + Send
        + Sync
        + 'static,
{
    Box::new(move |session, entries| entries::run(&*handler, &terms, session, entries))
}

/// Returns the thread of a lane.
fn companion(reading: &Arc<LogReading>, lane: usize) -> Companion {
    let reading = Arc::clone(reading);
    Companion {
        name: format!("outtray-{}-{}-{}", reading.log, reading.name, lane + 1),
        body: Box::new(move |stop| reader::run(&reading, lane, stop)),
    }
}
