//! Where a search goes on.

use crate::finding::place::MessagePlace;
use crate::words::{Error, Result, topic};
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Where a [`Search`](crate::Search) goes on, from the [page](crate::SearchPage) before. Its text
/// form is for links and for the option `--after` of `outtray search`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SearchCursor {
    /// The topic, of a search of all topics.
    pub(super) topic: Option<String>,
    pub(super) mark: SearchMark,
}

/// A place in the order in which messages are looked at: the last one that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum SearchMark {
    Ready { rank: i16, seq: i64 },
    Behind { key: String, seq: i64 },
    Scheduled(Uuid),
    Dead(Uuid),
    Kept(i64),
}

impl SearchMark {
    /// Returns the one before the first message of a place.
    pub(super) fn first(place: MessagePlace) -> Self {
        match place {
            MessagePlace::Ready => SearchMark::Ready {
                rank: i16::MIN,
                seq: i64::MIN,
            },
            MessagePlace::Behind => SearchMark::Behind {
                key: String::new(),
                seq: i64::MIN,
            },
            MessagePlace::Scheduled => SearchMark::Scheduled(Uuid::nil()),
            MessagePlace::Dead => SearchMark::Dead(Uuid::nil()),
            MessagePlace::Kept | MessagePlace::Ended => SearchMark::Kept(i64::MAX),
        }
    }

    pub(super) fn place(&self) -> MessagePlace {
        match self {
            SearchMark::Ready { .. } => MessagePlace::Ready,
            SearchMark::Behind { .. } => MessagePlace::Behind,
            SearchMark::Scheduled(_) => MessagePlace::Scheduled,
            SearchMark::Dead(_) => MessagePlace::Dead,
            SearchMark::Kept(_) => MessagePlace::Kept,
        }
    }
}

impl fmt::Display for SearchCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(topic) = &self.topic {
            // No topic has it in its name.
            write!(f, "{topic}~")?;
        }
        let place = self.mark.place();
        match &self.mark {
            SearchMark::Ready { rank, seq } => write!(f, "{place}.{rank}.{seq}"),
            SearchMark::Behind { key, seq } => write!(f, "{place}.{seq}.{key}"),
            SearchMark::Scheduled(id) | SearchMark::Dead(id) => write!(f, "{place}.{id}"),
            SearchMark::Kept(seq) => write!(f, "{place}.{seq}"),
        }
    }
}

impl FromStr for SearchCursor {
    type Err = Error;

    /// Reads the text form.
    ///
    /// # Errors
    /// `Invalid` for any other text.
    fn from_str(text: &str) -> Result<Self> {
        let flaw = || Error::invalid("this is not where a search goes on");
        let (topic, text) = match text.split_once('~') {
            Some((topic, text)) if topic::check(topic).is_ok() => (Some(topic.to_owned()), text),
            _ => (None, text),
        };
        let (place, rest) = text.split_once('.').ok_or_else(flaw)?;
        let mark = match place.parse()? {
            MessagePlace::Ready => rest.split_once('.').and_then(|(rank, seq)| {
                Some(SearchMark::Ready {
                    rank: rank.parse().ok()?,
                    seq: seq.parse().ok()?,
                })
            }),
            MessagePlace::Behind => rest.split_once('.').and_then(|(seq, key)| {
                Some(SearchMark::Behind {
                    key: (!key.contains('\0')).then(|| key.to_owned())?,
                    seq: seq.parse().ok()?,
                })
            }),
            MessagePlace::Scheduled => rest.parse().ok().map(SearchMark::Scheduled),
            MessagePlace::Dead => rest.parse().ok().map(SearchMark::Dead),
            MessagePlace::Kept => rest.parse().ok().map(SearchMark::Kept),
            MessagePlace::Ended => None,
        };
        let mark = mark.ok_or_else(flaw)?;
        Ok(SearchCursor { topic, mark })
    }
}

impl Serialize for SearchCursor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for text in [
            "ready.-5.-9223372036854775808",
            "behind.7.a.key with. dots",
            "scheduled.00000000-0000-7000-8000-000000000001",
            "dead.00000000-0000-7000-8000-000000000001",
            "kept.12",
            "orders.new~behind.7.a~b",
        ] {
            let cursor: SearchCursor = text.parse().unwrap();
            assert_eq!(cursor.to_string(), text);
        }
        for text in [
            "",
            "ready",
            "ready.x.1",
            "ready.1",
            "dead.x",
            "behind.1.\0",
            "else.1",
            "ended.1",
            "a b~kept.1",
        ] {
            assert!(text.parse::<SearchCursor>().is_err(), "{text}");
        }
    }
}
