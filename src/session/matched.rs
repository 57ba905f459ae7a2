//! What was published, and copied to those whom the process knew, until it is proved that this was
//! right, or the copies are made anew.

use crate::publish::KnownVersion;
use crate::session::outbox_mark::OutboxMark;
use crate::words::{Error, NewMessage};

/// What was published, where its copies are in the outbox, and with what it was matched.
#[derive(Default)]
pub(super) struct Matched {
    /// The version of the subscriptions that the first of it was matched with. Later ones with
    /// another version change nothing: the check fails.
    pub(super) version: KnownVersion,
    /// Those that can be matched anew, in order.
    pub(super) publications: Vec<Publication>,
    /// Why they could not be.
    pub(super) broken: Option<Error>,
}

/// One that was published.
pub(super) struct Publication {
    pub(super) key: String,
    /// Without a topic.
    pub(super) message: NewMessage,
    /// The outbox before its copies were kept, and after.
    pub(super) before: OutboxMark,
    pub(super) after: OutboxMark,
}
