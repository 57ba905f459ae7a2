//! What is asked about a message, and what one look answers.

use crate::finding::place::Located;
use crate::schema::name::SchemaName;
use crate::why::answer::Why;
use crate::words::{Error, ErrorKind, MessageId};

/// What is asked about.
pub(crate) struct WhyQuestion {
    pub(crate) id: MessageId,
    /// What ids of receivers are mixed with to be the keys of their advisory locks.
    pub(crate) namespace: i64,
    /// Whether to look at what it comes after, too.
    pub(crate) is_deep: bool,
}

impl WhyQuestion {
    pub(crate) fn of(id: MessageId, schema: &SchemaName) -> Self {
        WhyQuestion {
            id,
            namespace: schema.lock_namespace(),
            is_deep: true,
        }
    }
}

/// An answer, and what may be wrong with it.
pub(crate) struct WhyLook {
    pub(crate) why: Why,
    /// The transaction that had the message, which seems to be free: it may just have ended with
    /// it.
    pub(crate) doubt: Option<(Located, String)>,
}

impl From<Why> for WhyLook {
    fn from(why: Why) -> Self {
        WhyLook { why, doubt: None }
    }
}

/// Says that what was found is not there, which cannot be: all of it is of one snapshot.
pub(crate) fn gone(id: MessageId) -> Error {
    let text = format!("message {id} was found, and could not be read a moment later");
    Error::new(ErrorKind::Database, text)
}
