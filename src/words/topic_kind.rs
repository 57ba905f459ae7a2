//! What a topic is: a queue, or a log that many readers follow.

use crate::words::error::Result;
use crate::words::setting_value::{SettingField, SettingValue, words};
use serde::{Deserialize, Serialize};

/// What a topic is. It changes only while the topic holds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TopicKind {
    /// Each message is handled once, and is gone then. The default.
    #[default]
    Queue,
    /// Messages are kept for many readers. Each has its own place, and reads all of them in the one
    /// order that all readers see.
    Log,
}

/// What becomes of old messages of a log that a named reader has not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SlowReaders {
    /// They are held back until it has read them, however old or large the log is. The default.
    #[default]
    Hold,
    /// They go. The reader fails with [`PositionGone`](crate::ErrorKind::PositionGone), until
    /// somebody [moves](crate::Topic::seek) it.
    Lose,
}

words!(TopicKind, "queue, log", "queue" = Queue, "log" = Log);
words!(SlowReaders, "hold, lose", "hold" = Hold, "lose" = Lose);

/// Makes a setting of a word that is never missing: its default counts as not set.
macro_rules! defaulted {
    ($kind:ident) => {
        impl SettingField for $kind {
            type Value = $kind;

            fn set(&self) -> Option<&$kind> {
                (*self != $kind::default()).then_some(self)
            }

            fn of(value: Option<$kind>) -> Self {
                value.unwrap_or_default()
            }
        }

        impl $kind {
            /// Returns whether it is not stored.
            pub(crate) fn is_default(&self) -> bool {
                self.set().is_none()
            }
        }
    };
}

defaulted!(TopicKind);
defaulted!(SlowReaders);
