//! Which dead letters: all of a topic, some, or those of a key.

use crate::words::limits::key_flaw;
use crate::words::{Error, MessageId, Result};
use std::ops::RangeFull;
use uuid::Uuid;

/// Selects dead letters of a topic, or of all topics: `..` for all, an id, several ids, or those of
/// a [`key`](Self::key). An empty list selects none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(Choice);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Choice {
    All,
    Ids(Vec<Uuid>),
    Key(String),
}

impl Selection {
    /// Selects those that were sent with this key.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// # use outtray::Selection;
    /// let payments = messaging.topic("payments");
    /// for letter in payments.dead_letters_of(Selection::key("customer-7"), 10)? {
    ///     println!("{}: {}", letter.id, letter.error);
    /// }
    /// // Mended: back to their places, in the order of sending.
    /// payments.redrive(Selection::key("customer-7"))?;
    /// # Ok(()) }
    /// ```
    pub fn key(key: impl Into<String>) -> Self {
        Selection(Choice::Key(key.into()))
    }

    /// Checks that there can be such dead letters on the topic.
    pub(crate) fn check(&self, topic: &str) -> Result<()> {
        self.flaw().map_or(Ok(()), |flaw| {
            Err(Error::invalid(format!("{flaw}, on topic {topic}")))
        })
    }

    /// Checks that there can be such dead letters on any topic.
    pub(crate) fn check_everywhere(&self) -> Result<()> {
        self.flaw().map_or(Ok(()), |flaw| Err(Error::invalid(flaw)))
    }

    fn flaw(&self) -> Option<String> {
        self.key_chosen().and_then(|key| key_flaw("key", key))
    }

    /// Returns the chosen ids, or `None` where they are not chosen by id.
    pub(crate) fn ids(&self) -> Option<&[Uuid]> {
        match &self.0 {
            Choice::Ids(ids) => Some(ids),
            Choice::All | Choice::Key(_) => None,
        }
    }

    /// Returns the chosen key, or `None` where they are not chosen by key.
    pub(crate) fn key_chosen(&self) -> Option<&str> {
        match &self.0 {
            Choice::Key(key) => Some(key),
            Choice::All | Choice::Ids(_) => None,
        }
    }
}

impl From<RangeFull> for Selection {
    fn from(_: RangeFull) -> Self {
        Selection(Choice::All)
    }
}

impl From<MessageId> for Selection {
    fn from(id: MessageId) -> Self {
        Selection(Choice::Ids(vec![id.0]))
    }
}

impl From<&[MessageId]> for Selection {
    fn from(ids: &[MessageId]) -> Self {
        Selection(Choice::Ids(ids.iter().map(|id| id.0).collect()))
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
