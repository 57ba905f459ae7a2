//! How things ended.

use crate::words::completion::How;
use crate::words::message::MessageId;
use crate::words::named::named;
use serde::Serialize;
use std::time::Duration;

/// What a stopped receiver finished and left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StopReport {
    /// Messages that were in a handler, or handled and not yet committed, when the stop was asked
    /// for, and that ended in time.
    pub finished: usize,
    /// Messages whose handler was still running when the time was over. Their threads continue and
    /// may still commit; if the process ends first, they are delivered again.
    pub abandoned: usize,
}

/// What happened to the messages that one [`drain`](crate::Messaging::drain) met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// Handled and removed.
    pub handled: u64,
    /// Failed (or snoozed) and scheduled for later.
    pub retried: u64,
    /// Kept as dead letters.
    pub dead: u64,
    /// Expired and dropped without being handled, as their topic is configured.
    pub dropped: u64,
}

/// The result of [`send`](crate::MessagingSession::send).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sent {
    /// The message is sent, under this id.
    New(MessageId),
    /// The message was not sent: this earlier message has the same dedupe key.
    Duplicate(MessageId),
}

impl Sent {
    /// Returns the id of the message that was sent, or of the earlier one.
    pub fn id(self) -> MessageId {
        match self {
            Sent::New(id) | Sent::Duplicate(id) => id,
        }
    }

    /// Returns whether the message was not sent because an earlier one has the same dedupe key.
    pub fn is_duplicate(self) -> bool {
        matches!(self, Sent::Duplicate(_))
    }
}

impl From<Sent> for MessageId {
    fn from(sent: Sent) -> Self {
        sent.id()
    }
}

/// What the end of a message matters to. Stored as a sum; most messages have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct OnEnd(i16);

impl OnEnd {
    /// Somebody may wait for it: its outcome is recorded.
    pub(crate) const TRACKED: OnEnd = OnEnd(1);
    /// It takes room in a bounded topic.
    pub(crate) const BOUNDED: OnEnd = OnEnd(2);
    /// It has a dedupe key until then.
    pub(crate) const UNIQUE: OnEnd = OnEnd(4);
    /// Somebody waits for a reply to it, who is told if it becomes a dead letter. Once its time is
    /// over nobody wants it, not even as one.
    pub(crate) const FLEETING: OnEnd = OnEnd(8);
    /// A reader of a log put it aside, and looks for it by its id when it reads its entry again.
    /// Its end matters to nobody.
    pub(crate) const ASIDE: OnEnd = OnEnd(16);

    /// Reads the stored sum.
    pub(crate) fn read(stored: Option<i16>) -> Self {
        OnEnd(stored.unwrap_or_default())
    }

    /// Returns the sum to be stored; `None` where it is zero.
    pub(crate) fn stored(self) -> Option<i16> {
        (self.0 != 0).then_some(self.0)
    }

    pub(crate) fn has(self, other: OnEnd) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn with(self, other: OnEnd) -> Self {
        OnEnd(self.0 | other.0)
    }
}

/// Whether a message can be claimed, who has it, or what it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum MessageState {
    /// It can be claimed now.
    Ready,
    /// It is in work: an open transaction, of a worker or of somebody else, holds its row.
    InWork {
        /// The server process of that transaction; `None` for one that is prepared, or on another
        /// node.
        #[serde(skip_serializing_if = "Option::is_none")]
        server_process: Option<i32>,
        /// What the program that has it calls itself, its `application_name`; `None` where this
        /// role may not see it.
        #[serde(skip_serializing_if = "Option::is_none")]
        program: Option<String>,
    },
    /// It is in work under a lease.
    Leased {
        /// How long the lease lasts yet, by the database's clock. Zero if it is over: then it is
        /// ready when somebody moves it.
        #[serde(rename = "left_ms", with = "crate::words::millis")]
        left: Duration,
    },
    /// Its handler failed, or put it off. In strict order it holds up the others until its next
    /// attempt.
    Retrying {
        /// How long that is from now, by the database's clock.
        #[serde(rename = "left_ms", with = "crate::words::millis")]
        left: Duration,
    },
    /// It was sent with a delay, or for a time.
    Delayed {
        /// How long that is from now, by the database's clock. Zero once it is past: then it is
        /// ready when somebody moves it.
        #[serde(rename = "left_ms", with = "crate::words::millis")]
        left: Duration,
    },
    /// It comes after messages that are not done.
    AfterOthers,
    /// It waits behind others of its key.
    Behind,
    /// It was given up.
    Dead {
        /// Why.
        reason: DeadReason,
    },
    /// It is in a log, for all its readers.
    Kept,
    /// It has ended, and is nowhere any more.
    Ended {
        /// How.
        how: How,
    },
}

impl MessageState {
    /// Returns the word under which it is printed.
    pub fn as_str(&self) -> &'static str {
        match self {
            MessageState::Ready => "ready",
            MessageState::InWork { .. } => "in_work",
            MessageState::Leased { .. } => "leased",
            MessageState::Retrying { .. } => "retrying",
            MessageState::Delayed { .. } => "delayed",
            MessageState::AfterOthers => "after_others",
            MessageState::Behind => "behind",
            MessageState::Dead { .. } => "dead",
            MessageState::Kept => "kept",
            MessageState::Ended { .. } => "ended",
        }
    }
}

impl std::fmt::Display for MessageState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a message is neither ready nor behind another one of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitReason {
    /// It was sent with a delay, or for a time.
    Delayed,
    /// Its handler failed, or put it off.
    Retrying,
    /// It is in work under a lease.
    Leased,
    /// It comes after messages that are not done.
    AfterOthers,
}

impl WaitReason {
    /// Returns the word under which it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            WaitReason::Delayed => "delayed",
            WaitReason::Retrying => "retrying",
            WaitReason::Leased => "leased",
            WaitReason::AfterOthers => "after_others",
        }
    }
}

impl std::fmt::Display for WaitReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a message became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeadReason {
    /// It failed as often as its receiver allowed.
    Exhausted,
    /// Its handler rejected it.
    Rejected,
    /// Its payload does not fit the type that the receiver wants, or something else in it cannot be
    /// read, such as headers that are not texts, written by another program.
    Undecodable,
    /// The processes that worked on it died, or its leases ended without an answer, as often as its
    /// receiver allowed.
    Crashed,
    /// It expired before it was handled.
    Expired,
    /// It depends on a message that will never be done.
    Orphaned,
    /// A dead letter with the same key came before it, and its topic parks the messages behind one.
    Parked,
}

named!(
    DeadReason: Exhausted = "exhausted",
    Rejected = "rejected",
    Undecodable = "undecodable",
    Crashed = "crashed",
    Expired = "expired",
    Orphaned = "orphaned",
    Parked = "parked"
);

impl DeadReason {
    /// Returns whether a message died of an attempt that failed.
    pub(crate) fn is_attempt(self) -> bool {
        use DeadReason::{Exhausted, Rejected, Undecodable};
        matches!(self, Exhausted | Rejected | Undecodable)
    }
}
