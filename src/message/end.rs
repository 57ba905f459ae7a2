//! How messages ended.

use crate::message::claimed::Held;
use crate::words::outcome::OnEnd;

pub(crate) use crate::words::completion::How;

/// A message that ended.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) held: Held,
    pub(crate) how: How,
    /// What its handler recorded, as JSON.
    pub(crate) result: Option<String>,
}

impl End {
    /// Returns whether anything is to be done about the end of this message.
    pub(crate) fn matters(held: &Held) -> bool {
        held.key.is_some() || held.on_end.stored().is_some()
    }

    /// Returns whether somebody may wait for it.
    pub(crate) fn is_tracked(&self) -> bool {
        self.held.on_end.has(OnEnd::TRACKED)
    }
}
