//! What all pages share.

use crate::dashboard::frame::minutes::Hour;
use crate::surface::messaging::Messaging;
use crate::web::desk::Desk;
use crate::web::sessions::Sessions;
use crate::web::shelf::Shelf;
use crate::web::token::Token;

/// A dashboard that serves.
pub(crate) struct Site {
    pub(crate) messaging: Messaging,
    /// Makes pages and changes.
    pub(crate) desk: Desk,
    /// Finds what takes long, while pages do without it.
    pub(crate) back_desk: Desk,
    pub(crate) shelf: Shelf,
    /// The sums of the last hour's minutes over all topics.
    pub(crate) hour: Hour,
    pub(crate) sessions: Sessions,
    pub(crate) token: Option<Token>,
    pub(crate) is_read_only: bool,
    pub(crate) hides_payloads: bool,
    /// What all paths begin with: nothing, or `/queues`.
    pub(crate) prefix: String,
}

impl Site {
    /// Returns the whole path of a page, or an action, of the dashboard.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Returns whether somebody with the token may change something.
    pub(crate) fn allows_changes(&self) -> bool {
        self.token.is_some() && !self.is_read_only
    }
}
