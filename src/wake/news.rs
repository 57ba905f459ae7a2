//! What a committed session means to others.

use crate::message::claimed::Held;
use std::time::Duration;
use uuid::Uuid;

/// What a committed session means to others: whom to wake.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Topics with messages that are ready now, and how many.
    pub(crate) topics: Vec<(String, usize)>,
    /// The shortest delay among those that wait.
    pub(crate) soonest: Option<Duration>,
    /// What messages that wait come after. It may have ended since they were stored, unseen by both
    /// sides.
    pub(crate) after: Vec<Uuid>,
    /// Whether a thread waits for what is sent to be handled.
    pub(crate) is_awaited: bool,
    /// What was settled.
    pub(crate) ended: Vec<Held>,
}
