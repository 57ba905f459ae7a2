//! What observers are told.

use crate::observe::connection_of::ConnectionOf;
use crate::words::{DeadReason, MessageId};
use std::time::Duration;

/// Something that happened in this process, as an [observer](crate::Builder::on_event) is told.
///
/// **When.** Whatever changed the database is told after its COMMIT, once, by the process whose
/// transaction it was; what was rolled back is not told. Only [`Started`](Self::Started) comes
/// before: a handler is about to run, and nothing is decided. Where nobody knows whether a COMMIT
/// happened, [`CommitUnknown`](Self::CommitUnknown) says so in place of the events of that
/// transaction.
///
/// **Who.** A message has one event of its end at most: [`Done`](Self::Done),
/// [`Dead`](Self::Dead), [`Expired`](Self::Expired) or [`Cancelled`](Self::Cancelled). A
/// [redrive](Self::Redriven) begins it anew, and a [purge](Self::Purged) is told as a number. What
/// other processes do, they tell their own observers. Nobody tells of an attempt that ended with
/// the death of its process, or of a lease that ended without an answer: the numbers of later
/// attempts count them.
///
/// **Where.** On the thread that did it: the caller's for sends and for messages taken by hand, a
/// worker's for what handlers do, that of upkeep for what expires, recurs or is parked.
///
/// Named readers of logs are told under the topic `LOG@READER`, which also has what they put
/// aside. Replies that this process reads for its own [requests](crate::Messaging::request) are
/// handled by nobody, and have no end to tell.
///
/// Durations need a moment of the database's clock, which is read every ten seconds: they are right
/// to some milliseconds, and `None` where it could not be read yet.
///
/// Names and ids are borrowed: keep a copy of what is to outlive the call. Each variant may get
/// further fields, and there may be further variants: match with `..`, and have a `_` arm.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Messages were sent and committed: by a session, a handler, a single send, a publication, a
    /// recurring message, a request or a reply. One event for each topic of a transaction. Sends
    /// in a [joined](crate::MessagingSession::join) session are not told, since only the caller
    /// knows whether its transaction committed; nor are duplicates, which were not sent.
    #[non_exhaustive]
    Sent {
        /// The topic.
        topic: &'a str,
        /// The messages, in the order in which they were sent.
        ids: &'a [MessageId],
        /// Whether they wait for a time, or for other messages.
        is_scheduled: bool,
        /// Whether the topic is a log.
        is_entry: bool,
    },
    /// The handler of a message is about to run, or a message was taken by hand. Told while the
    /// transaction that holds the message is open. Where a transaction is
    /// [undone](Self::Undone), the same attempt starts again; where a batch of a log's entries
    /// fails, its parts do.
    #[non_exhaustive]
    Started {
        /// The topic.
        topic: &'a str,
        /// The message.
        id: MessageId,
        /// The number of the delivery, from 1.
        attempt: u32,
        /// How many messages the handler gets in the same call.
        batch: usize,
        /// How long the message waited since it was due.
        waited: Option<Duration>,
    },
    /// A message was handled, and is gone: its effects and its end are committed.
    #[non_exhaustive]
    Done {
        /// The topic.
        topic: &'a str,
        /// The message.
        id: MessageId,
        /// The number of the delivery, from 1.
        attempt: u32,
        /// How many messages the handler got in the same call.
        batch: usize,
        /// How long the call of the handler took; for a message taken by hand, how long it was in
        /// hand.
        took: Option<Duration>,
        /// How long ago the message was sent.
        since_sent: Option<Duration>,
    },
    /// An attempt failed that counts, and that is committed. If it was the last one,
    /// [`Dead`](Self::Dead) follows.
    #[non_exhaustive]
    Failed {
        /// The topic.
        topic: &'a str,
        /// The message.
        id: MessageId,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// How many messages the handler got in the same call; 1 where none ran.
        batch: usize,
        /// How long the call of the handler took; `None` where none ran, and where its transaction
        /// failed as a whole.
        took: Option<Duration>,
        /// Why: the text of the handler's error, without values of rows.
        error: &'a str,
        /// In how long the message is tried again; `None` if it is not.
        retry_in: Option<Duration>,
    },
    /// A handler [snoozed](crate::HandlerError::snooze) its message: it comes back later, and no
    /// attempt is spent.
    #[non_exhaustive]
    Snoozed {
        /// The topic.
        topic: &'a str,
        /// The message.
        id: MessageId,
        /// In how long it comes back.
        delay: Duration,
        /// How long the call of the handler took.
        took: Option<Duration>,
    },
    /// A message was claimed and put off without being handled, or for a reason that is no
    /// failure: its key has no token of the topic's rate, or something was in its way. No attempt
    /// is spent.
    #[non_exhaustive]
    PutOff {
        /// The topic.
        topic: &'a str,
        /// The message.
        id: MessageId,
        /// In how long it comes back.
        delay: Duration,
        /// Why.
        why: &'a str,
    },
    /// A message under a lease went back to its place without an attempt spent: it was
    /// [released](crate::Delivery::release), or the connection broke beside its handler.
    #[non_exhaustive]
    Released {
        /// The topic.
        topic: &'a str,
        /// The message.
        id: MessageId,
    },
    /// A message became a dead letter: after its last attempt, or where its time was over, where
    /// processes died with it, where what it comes after will never be done, or behind another
    /// dead letter of its key.
    #[non_exhaustive]
    Dead {
        /// The topic.
        topic: &'a str,
        /// The message.
        id: MessageId,
        /// Its failed attempts; `None` where upkeep made many dead letters together.
        attempts: Option<u32>,
        /// The reason.
        reason: DeadReason,
        /// The error that is kept with it, without values of rows.
        error: &'a str,
    },
    /// The time of a message was over, and it was dropped. Where expired messages become dead
    /// letters, that is [`Dead`](Self::Dead).
    #[non_exhaustive]
    Expired {
        /// The topic.
        topic: &'a str,
        /// The message.
        id: MessageId,
    },
    /// A message was cancelled, and is gone.
    #[non_exhaustive]
    Cancelled {
        /// The topic.
        topic: &'a str,
        /// The message.
        id: MessageId,
    },
    /// Handlers ran, and their transaction was rolled back as a whole: the connection broke,
    /// another transaction was in the way, or the database refused the work of several. Their
    /// messages are handled again, without an attempt spent; one that is to blame has
    /// [failed](Self::Failed) besides, which is told once it is written.
    #[non_exhaustive]
    Undone {
        /// The topic.
        topic: &'a str,
        /// The messages whose handlers had run.
        ids: &'a [MessageId],
        /// Why.
        error: &'a str,
    },
    /// The connection broke while COMMIT was under way, so that nobody here knows whether it
    /// happened. What did not happen is done again; nothing is done twice.
    #[non_exhaustive]
    CommitUnknown {
        /// The topic whose messages were handled; `None` for a session.
        topic: Option<&'a str>,
        /// The messages that were handled.
        handled: &'a [MessageId],
        /// The messages that were sent.
        sent: &'a [MessageId],
        /// What was said of it.
        error: &'a str,
    },
    /// Dead letters went back to their topic: one event for each slice of a redrive.
    #[non_exhaustive]
    Redriven {
        /// The topic.
        topic: &'a str,
        /// How many.
        messages: u64,
    },
    /// Messages or dead letters were removed for good, by an operator or after their retention:
    /// one event for each slice.
    #[non_exhaustive]
    Purged {
        /// The topic.
        topic: &'a str,
        /// How many.
        messages: u64,
        /// Whether they were dead letters.
        were_dead: bool,
    },
    /// One of this process's own threads lost its connection, or could not open one. It tries
    /// again until it can.
    #[non_exhaustive]
    ConnectionLost {
        /// Whose connection.
        of: ConnectionOf<'a>,
        /// Why.
        error: &'a str,
    },
    /// The same thread has a connection that works again.
    #[non_exhaustive]
    Reconnected {
        /// Whose connection.
        of: ConnectionOf<'a>,
        /// How long it had none.
        after: Duration,
    },
}

/// The number of kinds of events.
pub(crate) const KINDS: usize = 16;

impl Event<'_> {
    /// Returns the number and the name of the kind.
    pub(crate) fn kind(&self) -> (usize, &'static str) {
        match self {
            Event::Sent { .. } => (0, "Sent"),
            Event::Started { .. } => (1, "Started"),
            Event::Done { .. } => (2, "Done"),
            Event::Failed { .. } => (3, "Failed"),
            Event::Snoozed { .. } => (4, "Snoozed"),
            Event::PutOff { .. } => (5, "PutOff"),
            Event::Released { .. } => (6, "Released"),
            Event::Dead { .. } => (7, "Dead"),
            Event::Expired { .. } => (8, "Expired"),
            Event::Cancelled { .. } => (9, "Cancelled"),
            Event::Undone { .. } => (10, "Undone"),
            Event::CommitUnknown { .. } => (11, "CommitUnknown"),
            Event::Redriven { .. } => (12, "Redriven"),
            Event::Purged { .. } => (13, "Purged"),
            Event::ConnectionLost { .. } => (14, "ConnectionLost"),
            Event::Reconnected { .. } => (15, "Reconnected"),
        }
    }
}
