//! The id of a message. Errors name it, so it knows nothing of them: [`message`] reads it from a
//! text.
//!
//! [`message`]: crate::words::message

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The id of a message: a UUID version 7, made by the sender before any SQL.
///
/// Later ids of one process sort after earlier ones. The time in it comes from the sender's clock;
/// nothing in outtray depends on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub(crate) Uuid);

impl MessageId {
    pub(crate) fn new() -> Self {
        MessageId(Uuid::now_v7())
    }

    /// Returns the id as a UUID.
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for MessageId {
    fn from(id: Uuid) -> Self {
        MessageId(id)
    }
}

/// So that setters of texts take an id: [`correlation_id`](crate::NewMessage::correlation_id).
impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
