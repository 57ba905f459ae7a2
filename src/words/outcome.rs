//! How things ended.

/// What stopping a receiver found and left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StopReport {
    /// Messages that were in a handler when the stop was asked for, or handled and not yet committed,
    /// and ended in time.
    pub finished: usize,
    /// Messages whose handler was still running when the time was over. Their threads go on and
    /// may still commit; if the process ends first, they are delivered again.
    pub abandoned: usize,
}

/// What happened to the messages that one [`drain`](crate::Messaging::drain) met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// Handled and gone.
    pub handled: u64,
    /// Failed (or snoozed) and scheduled for later.
    pub retried: u64,
    /// Kept as dead letters.
    pub dead: u64,
}

/// Why a message became a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeadReason {
    /// It failed as often as its receiver allowed.
    Exhausted,
    /// Its handler rejected it.
    Rejected,
    /// Its payload does not fit the type that the receiver wants.
    Undecodable,
    /// The processes that worked on it died, as often as its receiver allowed.
    Crashed,
}

impl DeadReason {
    /// Returns the word under which it is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            DeadReason::Exhausted => "exhausted",
            DeadReason::Rejected => "rejected",
            DeadReason::Undecodable => "undecodable",
            DeadReason::Crashed => "crashed",
        }
    }

    /// Reads the stored word; one of a newer release reads as `Exhausted`.
    pub(crate) fn parse(text: &str) -> Self {
        [Self::Rejected, Self::Undecodable, Self::Crashed]
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .unwrap_or(Self::Exhausted)
    }
}

impl std::fmt::Display for DeadReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
