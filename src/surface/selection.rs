//! Which dead letters: all of a topic, or some.

use crate::words::message::MessageId;
use std::ops::RangeFull;
use uuid::Uuid;

/// A choice among the dead letters of a topic: `..` for all, an id, or several ids. An empty list
/// chooses none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(Option<Vec<Uuid>>);

impl Selection {
    /// Returns the chosen ids; nothing means all.
    pub(crate) fn ids(&self) -> Option<&[Uuid]> {
        self.0.as_deref()
    }
}

impl From<RangeFull> for Selection {
    fn from(_: RangeFull) -> Self {
        Selection(None)
    }
}

impl From<MessageId> for Selection {
    fn from(id: MessageId) -> Self {
        Selection(Some(vec![id.0]))
    }
}

impl From<&[MessageId]> for Selection {
    fn from(ids: &[MessageId]) -> Self {
        Selection(Some(ids.iter().map(|id| id.0).collect()))
    }
}

impl<const N: usize> From<[MessageId; N]> for Selection {
    fn from(ids: [MessageId; N]) -> Self {
        Selection::from(ids.as_slice())
    }
}

impl From<Vec<MessageId>> for Selection {
    fn from(ids: Vec<MessageId>) -> Self {
        Selection::from(ids.as_slice())
    }
}

impl From<&Vec<MessageId>> for Selection {
    fn from(ids: &Vec<MessageId>) -> Self {
        Selection::from(ids.as_slice())
    }
}
