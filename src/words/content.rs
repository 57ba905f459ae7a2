//! The payload of a new message: its own, or that of several copies.

use crate::words::payload::Payload;
use std::ops::Deref;
use std::sync::Arc;

/// The payload of a new message.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Own(Payload),
    /// Many copies of a large one are one in memory.
    Shared(Arc<Payload>),
}

impl Content {
    /// Makes it one that clones share.
    pub(crate) fn shared(self) -> Self {
        match self {
            Content::Own(payload) => Content::Shared(Arc::new(payload)),
            shared @ Content::Shared(_) => shared,
        }
    }
}

impl Deref for Content {
    type Target = Payload;

    fn deref(&self) -> &Payload {
        match self {
            Content::Own(payload) => payload,
            Content::Shared(payload) => payload,
        }
    }
}
