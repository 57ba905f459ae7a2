//! How messages ended.

use crate::db::column;
use crate::message::claimed::Held;
use crate::words::{MessageId, OnEnd, Result};
use postgres::Row;

pub(crate) use crate::words::completion::How;

/// The end of a message, as far as it matters to others.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) id: MessageId,
    /// `None` also where the line of its key is looked after otherwise.
    pub(crate) key: Option<String>,
    pub(crate) on_end: OnEnd,
    pub(crate) how: How,
    /// What its handler recorded, as JSON.
    pub(crate) result: Option<String>,
}

impl End {
    /// Returns the end of a message, or `None` if it matters to nobody.
    pub(crate) fn of(held: &Held, how: How) -> Option<Self> {
        held.matters().then(|| End {
            id: held.id,
            key: held.key.clone(),
            on_end: held.on_end,
            how,
            result: None,
        })
    }

    /// Reads a row with the id and the flags of a message that ended.
    pub(crate) fn read(row: &Row, how: How) -> Result<Self> {
        Ok(End {
            id: MessageId(column(row, "id")?),
            key: None,
            on_end: OnEnd::read(column(row, "on_end")?),
            how,
            result: None,
        })
    }

    /// Returns whether somebody may wait for it.
    pub(crate) fn is_tracked(&self) -> bool {
        self.on_end.has(OnEnd::TRACKED)
    }
}
