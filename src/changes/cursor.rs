//! Where a list of changes goes on.

use crate::words::{Error, Result};
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// Where a list of changes goes on: after a [`Change`](crate::Change), with those that were made
/// before it. Its text form is for links and for the option `--after` of `outtray changes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChangeCursor {
    /// In microseconds since 1970.
    pub(super) at_us: i64,
    pub(super) id: Uuid,
}

impl fmt::Display for ChangeCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at_us, self.id)
    }
}

impl FromStr for ChangeCursor {
    type Err = Error;

    /// Reads the text form.
    ///
    /// # Errors
    /// `Invalid` for any other text.
    fn from_str(text: &str) -> Result<Self> {
        let flaw = || Error::invalid("this is not where a list of changes goes on");
        let (at_us, id) = text.split_once('.').ok_or_else(flaw)?;
        let at_us = at_us.parse().map_err(|_| flaw())?;
        let id = id.parse().map_err(|_| flaw())?;
        // Beyond these, no time is one of the database.
        match (-MOST_US..MOST_US).contains(&at_us) {
            true => Ok(ChangeCursor { at_us, id }),
            false => Err(flaw()),
        }
    }
}

const MOST_US: i64 = 1 << 58;

impl Serialize for ChangeCursor {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let text = "1764500000000000.00000000-0000-7000-8000-000000000001";
        let cursor: ChangeCursor = text.parse().unwrap();
        assert_eq!(cursor.to_string(), text);
        for text in ["", "1", "1.x", "x.00000000-0000-7000-8000-000000000001"] {
            assert!(text.parse::<ChangeCursor>().is_err(), "{text}");
        }
        let far = format!("{}.{}", i64::MAX, Uuid::nil());
        assert!(far.parse::<ChangeCursor>().is_err());
    }
}
