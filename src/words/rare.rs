//! Options of a new message that most messages lack.

use crate::words::limits::micros;
use crate::words::message::MessageId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// Options that most messages do not have. Apart, so that those are small: they are moved a few
/// times each on their way, and thousands are sent at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rare(Option<Box<RareOptions>>);

/// The options themselves.
#[derive(Debug, Clone, Default)]
pub(crate) struct RareOptions {
    pub(crate) key: Option<String>,
    /// Headers that are null.
    pub(crate) null_headers: BTreeSet<String>,
    /// What is wrong with the headers that setters of their own were given, by name.
    pub(crate) flaws: BTreeMap<&'static str, String>,
    pub(crate) expires_in: Option<Duration>,
    /// Whether it is dropped when its time is over, whatever its topic says.
    pub(crate) is_fleeting: bool,
    pub(crate) dedupe: Option<(String, Remembered)>,
    /// How long its sender waits for room; not said: as its session does.
    pub(crate) room_wait: Option<Duration>,
    /// For how long its outcome is kept; not said: nobody asks.
    pub(crate) tracked_for: Option<Duration>,
    pub(crate) after: Vec<MessageId>,
    /// Whether any end for good of those it comes after will do.
    pub(crate) takes_any_end: bool,
    /// Whether publishing it is an error when nobody subscribed to it.
    pub(crate) is_mandatory: bool,
}

/// For how long a dedupe key is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remembered {
    /// This long from the send on, whatever becomes of the message.
    For(Duration),
    UntilEnd,
}

impl Remembered {
    /// Returns the window in microseconds as statements take it; zero: until the message has ended.
    pub(crate) fn micros(self) -> i64 {
        match self {
            Remembered::For(window) => micros(window),
            Remembered::UntilEnd => 0,
        }
    }
}

impl Deref for Rare {
    type Target = RareOptions;

    fn deref(&self) -> &RareOptions {
        static NONE: RareOptions = RareOptions {
            key: None,
            null_headers: BTreeSet::new(),
            flaws: BTreeMap::new(),
            expires_in: None,
            is_fleeting: false,
            dedupe: None,
            room_wait: None,
            tracked_for: None,
            after: Vec::new(),
            takes_any_end: false,
            is_mandatory: false,
        };
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Rare {
    fn deref_mut(&mut self) -> &mut RareOptions {
        self.0.get_or_insert_default()
    }
}
