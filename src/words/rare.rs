//! The options of a message on its way in that most messages do not have.

use crate::words::message::MessageId;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// Options that most messages do not have. Apart, so that those are small: they are moved a few times each on their
/// way, and thousands are sent at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rare(Option<Box<RareOptions>>);

/// The options themselves.
#[derive(Debug, Clone, Default)]
pub(crate) struct RareOptions {
    pub(crate) key: Option<String>,
    pub(crate) expires_in: Option<Duration>,
    pub(crate) dedupe: Option<(String, Duration)>,
    /// How long its sender waits for room; not said: as its session does.
    pub(crate) room_wait: Option<Duration>,
    /// For how long its outcome is kept; not said: nobody asks.
    pub(crate) tracked_for: Option<Duration>,
    pub(crate) after: Vec<MessageId>,
    /// Whether any end for good of those it comes after will do.
    pub(crate) takes_any_end: bool,
}

impl Deref for Rare {
    type Target = RareOptions;

    fn deref(&self) -> &RareOptions {
        static NONE: RareOptions = RareOptions {
            key: None,
            expires_in: None,
            dedupe: None,
            room_wait: None,
            tracked_for: None,
            after: Vec::new(),
            takes_any_end: false,
        };
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Rare {
    fn deref_mut(&mut self) -> &mut RareOptions {
        self.0.get_or_insert_default()
    }
}
