//! Following a log by hand, from a place that nobody remembers.

use crate::connect::connection::{Connection, Whereabouts};
use crate::log::cursor::{Cursor, Entries};
use crate::log::entry::EntryRow;
use crate::log::places::place_of;
use crate::log::ticks::tick;
use crate::surface::messaging::Messaging;
use crate::wake::board::Station;
use crate::wake::interrupt::Wait;
use crate::words::error::Result;
use crate::words::log_position::{LogPosition, Position};
use crate::words::message::Message;
use crate::words::topic;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Entries that [`next`](Tail::next) reads at a time.
const AHEAD: usize = 500;

/// Follows a log from a place of its own, which is gone with it. Other readers do not notice, and
/// nothing is held back for it.
///
/// After a failover to a server that lacks the latest commits, it goes on after the last that
/// it read and that is still there: what was committed since then comes, and some may come twice.
///
/// It holds no connection while it waits, and asks the database nothing: a commit of this process
/// wakes it at once, and one of another process by a notification, or else within the
/// [poll interval](crate::Builder::poll_interval).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use outtray::{Messaging, Position, TopicConfig, TopicKind, testing::Server};
/// use std::time::Duration;
///
/// # let server = Server::start()?;
/// # let messaging = Messaging::connect(&server.database()?)?;
/// # messaging.migrate()?;
/// let log = TopicConfig { kind: TopicKind::Log, ..TopicConfig::default() };
/// messaging.topic("ledger").configure(log)?;
/// let mut tail = messaging.tail("ledger", Position::Now)?;
/// messaging.session(|session| Ok(session.send_messages("ledger", [1, 2])?))?;
///
/// let wait = Duration::from_secs(10);
/// assert_eq!(tail.next::<i32>(wait)?.map(|message| message.payload), Some(1));
///
/// // Another one, from the start.
/// let mut replay = messaging.tail("ledger", Position::Start)?;
/// let all = replay.next_batch::<i32>(100, wait)?;
/// assert_eq!(all.iter().map(|message| message.payload).collect::<Vec<_>>(), [1, 2]);
/// # Ok(()) }
/// ```
pub struct Tail {
    messaging: Messaging,
    topic: String,
    cursor: Cursor,
    /// Which server it was read from last.
    whereabouts: Option<Whereabouts>,
    station: Arc<Station>,
    /// Read, and not returned yet.
    ahead: VecDeque<EntryRow>,
    place: LogPosition,
    /// The place after all that is read.
    read_upto: LogPosition,
}

impl Messaging {
    /// Follows a log from a place on. Blocks for a few round trips.
    ///
    /// [`Now`](Position::Now) means: what is committed before the call is not seen, and what is
    /// committed after it returned is. Starts the threads that serve receivers, unless they run.
    ///
    /// # Errors
    /// `Invalid` for a bad topic name, a topic that is no log, or a place that the log does not
    /// have yet; `PositionGone` for one that is not kept any more; `SchemaMissing`, `Unavailable`,
    /// `PoolExhausted`.
    pub fn tail(&self, topic: &str, position: impl Into<Position>) -> Result<Tail> {
        topic::check(topic)?;
        let station = Arc::new(Station::new(topic, 1));
        // Before the place is found: what comes after it rings.
        self.base().waker.board.add(&station);
        let errands = self.errands()?;
        let position = position.into();
        let cursor = self.with_connection(|run, _| {
            let mut cursor = Cursor::new(topic, place_of(run, topic, &position)?, None);
            cursor.look_back(run)?;
            Ok(cursor)
        })?;
        let place = cursor.place();
        // There may be something to be read by now.
        station.ring(1);
        errands.look();
        Ok(Tail {
            messaging: self.clone(),
            topic: topic.to_owned(),
            cursor,
            whereabouts: None,
            station,
            ahead: VecDeque::new(),
            place,
            read_upto: place,
        })
    }
}

impl Tail {
    /// Returns the next message; waits up to this long for it, and returns `None` when the time is
    /// over. A zero wait looks once.
    ///
    /// # Errors
    /// `Payload` for a payload that is no `T`: it counts as read, and the next call goes on behind
    /// it. `PositionGone` when what comes next is not kept any more; `Interrupted` when
    /// [another thread](crate::Interrupt) ends the wait; `Unavailable`, `PoolExhausted`: call it
    /// again.
    pub fn next<T: DeserializeOwned>(
        &mut self,
        wait: impl Into<Wait>,
    ) -> Result<Option<Message<T>>> {
        if !self.fill(AHEAD, &wait.into())? {
            return Ok(None);
        }
        self.ahead
            .pop_front()
            .map(|entry| self.pass(&entry))
            .transpose()
    }

    /// Returns the next messages, up to `max`, as soon as there is one; waits up to this long for
    /// it, and returns none when the time is over. Does not wait for a full batch.
    ///
    /// # Errors
    /// The same as [`next`](Self::next); what comes before a payload that is no `T` is returned
    /// first.
    pub fn next_batch<T: DeserializeOwned>(
        &mut self,
        max: usize,
        wait: impl Into<Wait>,
    ) -> Result<Vec<Message<T>>> {
        if max == 0 || !self.fill(max, &wait.into())? {
            return Ok(Vec::new());
        }
        let mut batch = Vec::with_capacity(max.min(self.ahead.len()));
        while batch.len() < max
            && let Some(entry) = self.ahead.pop_front()
        {
            match entry.message(&self.topic, 1, 1) {
                Ok(message) => batch.push(message),
                Err(_) if !batch.is_empty() => {
                    self.ahead.push_front(entry);
                    return Ok(batch);
                }
                Err(error) => {
                    self.place = entry.position;
                    return Err(error);
                }
            }
            self.place = entry.position;
        }
        Ok(batch)
    }

    /// Returns the place up to which messages were returned. A tail [from
    /// there](Position::At) returns what comes after it.
    pub fn position(&self) -> LogPosition {
        match self.ahead.is_empty() {
            true => self.read_upto,
            false => self.place,
        }
    }

    /// Returns the log's topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Decodes an entry, which counts as read whatever comes of it.
    fn pass<T: DeserializeOwned>(&mut self, entry: &EntryRow) -> Result<Message<T>> {
        self.place = entry.position;
        entry.message(&self.topic, 1, 1)
    }

    /// Reads entries if none is left; returns whether there are any.
    fn fill(&mut self, max: usize, wait: &Wait) -> Result<bool> {
        let deadline = wait.deadline();
        while self.ahead.is_empty() {
            wait.check()?;
            let read = self.read(max)?;
            self.read_upto = read.upto;
            self.ahead = read.entries.into();
            if !self.ahead.is_empty() {
                break;
            }
            if wait.is_zero() || Instant::now() >= deadline {
                return Ok(false);
            }
            let _ = wait.until(self.station.permits(), deadline)?;
        }
        Ok(true)
    }

    /// Reads what is in ticks; where that is nothing, makes a tick and looks again.
    fn read(&mut self, max: usize) -> Result<Entries> {
        let (messaging, cursor, topic) = (&self.messaging, &mut self.cursor, &self.topic);
        let whereabouts = &mut self.whereabouts;
        messaging.with_connection(|connection, _| {
            let now = connection.whereabouts();
            if whereabouts.replace(now).is_some_and(|before| before != now) {
                cursor.doubt();
            }
            let read = cursor.read(connection, max)?;
            let is_new = |connection: &mut Connection| -> Result<bool> {
                let newest = tick(connection, topic)?;
                Ok(newest.is_some_and(|newest| newest >= read.upto.tick))
            };
            match read.entries.is_empty() && is_new(connection)? {
                true => cursor.read(connection, max),
                false => Ok(read),
            }
        })
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail")
            .field("topic", &self.topic)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
