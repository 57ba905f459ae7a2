//! Places in a log.

use crate::words::error::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

/// A place in a log: everything up to it, itself included, has been read. Places of one log are in
/// the order in which all its readers read.
///
/// Its text is `TICK-SEQ`: messages are in batches, which are numbered, and in each in the order of
/// sending. `7-0` is the place before the first message of batch 7.
///
/// ```
/// use outtray::LogPosition;
///
/// let (one, other): (LogPosition, LogPosition) = ("7-1234".parse()?, "8-0".parse()?);
/// assert!(one < other);
/// assert_eq!(one.to_string(), "7-1234");
/// # Ok::<(), outtray::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    pub(crate) tick: i64,
    pub(crate) seq: i64,
}

impl LogPosition {
    /// Returns the place before everything of a batch.
    pub(crate) fn before(tick: i64) -> Self {
        LogPosition { tick, seq: 0 }
    }
}

/// Where to begin to read a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// With the oldest message that is kept.
    Start,
    /// With what is committed from now on.
    Now,
    /// With what was committed at this time or later, by the database's clock. It may begin a
    /// little earlier: with the whole batch in which that is.
    Time(SystemTime),
    /// After this place.
    At(LogPosition),
}

impl From<LogPosition> for Position {
    fn from(place: LogPosition) -> Self {
        Position::At(place)
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.tick, self.seq)
    }
}

impl FromStr for LogPosition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse::<i64>().ok()).flatten()
        };
        let parts = text.split_once('-');
        let place = parts.and_then(|(tick, seq)| {
            Some(LogPosition {
                tick: number(tick)?,
                seq: number(seq)?,
            })
        });
        place.ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            let shown = shown.escape_debug();
            Error::invalid(format!(
                "\"{shown}\" is no position in a log: write it as 7-1234"
            ))
        })
    }
}

impl Serialize for LogPosition {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogPosition {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_text() {
        let place = LogPosition {
            tick: 12,
            seq: i64::MAX,
        };
        assert_eq!(place.to_string().parse::<LogPosition>().unwrap(), place);
        let json = serde_json::to_string(&place).unwrap();
        assert_eq!(serde_json::from_str::<LogPosition>(&json).unwrap(), place);
    }

    #[test]
    fn what_is_no_position_is_refused() {
        for text in [
            "",
            "7",
            "7-",
            "-7",
            "7--1",
            "+7-1",
            "a-b",
            "7-99999999999999999999",
            "7-1 ",
        ] {
            let error = text.parse::<LogPosition>().unwrap_err();
            assert!(error.to_string().contains("no position"), "{error}");
        }
    }
}
