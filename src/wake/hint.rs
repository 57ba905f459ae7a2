//! What processes tell each other through NOTIFY.

use crate::words::topic;
use uuid::Uuid;

/// A hint; losing one costs at most a poll interval.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hint {
    /// A topic has a new message.
    Ready(String),
    /// A scheduled message is due before what others may think.
    Due,
    /// A process died on a topic: ask how careful to be.
    Suspect,
    /// An operator changed the settings of a topic.
    Config,
    /// Tracked messages ended.
    Ended,
    /// Somebody wants messages in work to be given up.
    Cancel,
}

impl Hint {
    /// Writes the hint for a NOTIFY of process `from`.
    pub(crate) fn encode(&self, from: Uuid) -> String {
        let from = from.simple();
        match self {
            Hint::Ready(topic) => format!("{from} ready {topic}"),
            Hint::Due => format!("{from} due"),
            Hint::Suspect => format!("{from} suspect"),
            Hint::Config => format!("{from} config"),
            Hint::Ended => format!("{from} ended"),
            Hint::Cancel => format!("{from} cancel"),
        }
    }

    /// Returns whether it can travel. A hand may have written a name that no topic can have, and
    /// what does not fit a notification would take those with it that travel together.
    pub(crate) fn can_travel(&self) -> bool {
        match self {
            Hint::Ready(topic) => topic::check(topic).is_ok(),
            _ => true,
        }
    }

    /// Reads a hint; `None` if this process sent it or it is not understood.
    pub(crate) fn decode(text: &str, me: Uuid) -> Option<Hint> {
        let mut words = text.split(' ');
        let from = words.next()?;
        if from == me.simple().to_string() {
            return None;
        }
        match words.next()? {
            "ready" => Some(Hint::Ready(words.next()?.to_owned())),
            "due" => Some(Hint::Due),
            "suspect" => Some(Hint::Suspect),
            "config" => Some(Hint::Config),
            "ended" => Some(Hint::Ended),
            "cancel" => Some(Hint::Cancel),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_reach_others_and_not_oneself() {
        let (me, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for hint in [
            Hint::Ready("a.b".into()),
            Hint::Due,
            Hint::Suspect,
            Hint::Config,
            Hint::Ended,
            Hint::Cancel,
        ] {
            assert_eq!(Hint::decode(&hint.encode(other), me), Some(hint.clone()));
            assert_eq!(Hint::decode(&hint.encode(me), me), None);
        }
        for odd in ["", "x", "x y", "x ready"] {
            assert_eq!(Hint::decode(odd, me), None, "{odd}");
        }
    }
}
