//! How a tracked message ended, and the result of a request to cancel one.

use crate::words::message::MessageId;
use crate::words::named::named;
use serde::Serialize;
use std::time::SystemTime;

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum How {
    /// Its handler succeeded, and that was committed.
    Done,
    /// It became a dead letter, for whatever reason, expiry included. A redrive starts it anew.
    Dead,
    /// It was cancelled.
    Cancelled,
    /// It expired, and its topic [drops](crate::Expired::Drop) expired messages.
    Expired,
    /// An operator removed it.
    Purged,
}

named!(
    How: Done = "done",
    Dead = "dead",
    Cancelled = "cancelled",
    Expired = "expired",
    Purged = "purged"
);

/// The end of a tracked message.
///
/// Its JSON is that of `outtray wait --json`, which adds the id.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Completion {
    /// How it ended.
    pub how: How,
    /// The result that its handler gave to
    /// [`record_result`](crate::MessagingSession::record_result), if any.
    pub result: Option<serde_json::Value>,
    /// When it ended, by the database's clock: the start of the transaction that ended it.
    #[serde(with = "crate::words::moment")]
    pub ended_at: SystemTime,
}

/// What [`cancel`](crate::Messaging::cancel) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cancelled {
    /// It was waiting, and was removed: it will not be delivered.
    Removed,
    /// It is in work, and its handler is asked to stop. It may still succeed; if it does not, it is
    /// not tried again. Or it waits behind others of its key to which somebody is just sending:
    /// then it is removed afterwards, unless it is in work by then.
    Asked,
    /// No such message waits or is in work. It may have ended.
    NotThere,
}

/// Messages that were sent together, with a completion message that follows when all of them have
/// ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// The id of the completion message, which stands for the group.
    pub id: MessageId,
    /// Its members, in the order of sending.
    pub members: Vec<MessageId>,
}

/// How far a group has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupProgress {
    /// How many members it has.
    pub members: u64,
    /// How many of them ended for good: done, cancelled, expired and dropped, or purged. Dead
    /// letters do not count.
    pub ended: u64,
}

impl GroupProgress {
    pub(crate) fn new(members: u64, ended: u64) -> Self {
        GroupProgress { members, ended }
    }
}
