//! An attempt that failed, as it is kept with its message.

use crate::words::storable::storable_text;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest text of an error that is kept of each attempt; of the last one the message has more.
const MAX_ERROR_BYTES: usize = 1024;
/// Where a longer one is cut, to leave room for the sign that it was.
const CUT_AT: usize = MAX_ERROR_BYTES - '…'.len_utf8();

/// An attempt to handle a message that failed. The last ten are kept with a message until it ends,
/// with a dead letter, and when that is redriven.
///
/// Deliveries that ended with the death of their process are not among these: nobody was left to
/// say what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailedAttempt {
    /// The number of the attempt, from 1; after a redrive it begins again.
    pub attempt: u32,
    /// When it was written that it failed, by the database's clock.
    #[serde(with = "crate::words::moment")]
    pub failed_at: SystemTime,
    /// How long the handler took; `None` where that is not known, as for messages that are taken by
    /// hand.
    #[serde(rename = "took_ms", with = "crate::words::millis::optional")]
    pub took: Option<Duration>,
    /// The process in which it failed: its host and its process id.
    pub process: String,
    /// The error with its chain of causes, in one line of at most 1,024 bytes.
    pub error: String,
}

/// As it is stored. The database adds the time.
#[derive(Serialize, Deserialize)]
struct StoredFailure<'s> {
    #[serde(default)]
    attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    took_ms: Option<u64>,
    #[serde(default)]
    process: Cow<'s, str>,
    #[serde(default)]
    error: Cow<'s, str>,
    #[serde(default, skip_serializing)]
    at_us: i64,
}

impl FailedAttempt {
    /// Returns the text by which one is stored.
    pub(crate) fn to_stored(
        attempt: u32,
        took: Option<Duration>,
        process: &str,
        error: &str,
    ) -> String {
        let took_ms = took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let stored = StoredFailure {
            attempt,
            took_ms,
            process: Cow::Borrowed(process),
            error: Cow::Owned(storable_text(error, CUT_AT)),
            at_us: 0,
        };
        serde_json::to_string(&stored).expect("texts and numbers are JSON")
    }

    /// Reads what is stored with a message, the oldest first. What a hand wrote and cannot be read
    /// is left out.
    pub(crate) fn read_all(stored: Option<&str>) -> Vec<FailedAttempt> {
        let stored = stored.map(serde_json::from_str::<Vec<serde_json::Value>>);
        let stored = stored.and_then(Result::ok).unwrap_or_default().into_iter();
        let read = stored.filter_map(|one| serde_json::from_value::<StoredFailure<'_>>(one).ok());
        read.map(FailedAttempt::of).collect()
    }

    fn of(stored: StoredFailure<'_>) -> Self {
        let since_1970 = Duration::from_micros(u64::try_from(stored.at_us).unwrap_or_default());
        FailedAttempt {
            attempt: stored.attempt,
            failed_at: UNIX_EPOCH.checked_add(since_1970).unwrap_or(UNIX_EPOCH),
            took: stored.took_ms.map(Duration::from_millis),
            process: stored.process.into_owned(),
            error: stored.error.into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_again_with_the_time_that_the_database_added() {
        let took = Some(Duration::from_millis(7));
        let stored = FailedAttempt::to_stored(3, took, "host pid 1", "no \"paper\"\0");
        let stored = format!("{}, \"at_us\": 1500000}}", stored.trim_end_matches('}'));

        let read = FailedAttempt::read_all(Some(&format!("[{stored}]")));

        let expected = FailedAttempt {
            attempt: 3,
            failed_at: UNIX_EPOCH + Duration::from_millis(1500),
            took,
            process: "host pid 1".to_owned(),
            error: "no \"paper\"\u{FFFD}".to_owned(),
        };
        assert_eq!(read, [expected]);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let count = |stored| FailedAttempt::read_all(stored).len();

        assert_eq!(count(None), 0);
        assert_eq!(count(Some("null")), 0);
        assert_eq!(count(Some("{}")), 0);
        assert_eq!(count(Some(r#"[1, {"attempt": -1}, {}]"#)), 1);
    }

    #[test]
    fn a_long_error_is_cut_between_two_characters() {
        let text = storable_text(&"é".repeat(1000), CUT_AT);

        assert!(text.len() <= MAX_ERROR_BYTES, "{}", text.len());
        assert!(text.ends_with("é…"), "{text}");
    }
}
