//! Limits of keys and durations, shared by messages and pieces of work.

use crate::words::error::{Error, Result};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest delay: ten years. Longer ones are mistakes of unit.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(10 * 365 * 86_400);
/// The least of durations that cannot be zero: what the database can tell apart.
const LEAST_DURATION: Duration = Duration::from_micros(1);
/// Longest key: it is part of two index entries, of which PostgreSQL takes 2,700 bytes.
pub(crate) const MAX_KEY_BYTES: usize = 512;

/// Checks the key and the window of a piece of work that is done once.
pub(crate) fn check_key(key: &str, window: Duration) -> Result<()> {
    let flaw = key_flaw("idempotency key", key).or_else(|| duration_flaw("window", window));
    flaw.map_or(Ok(()), |flaw| Err(Error::invalid(flaw)))
}

/// Checks a dedupe key that is named by itself.
pub(crate) fn check_dedupe_key(topic: &str, key: &str) -> Result<()> {
    let flaw = key_flaw("dedupe key", key);
    flaw.map_or(Ok(()), |flaw| {
        Err(Error::invalid(format!("{flaw}, on topic {topic}")))
    })
}

/// Returns what is wrong with a duration that cannot be zero.
pub(crate) fn duration_flaw(what: &str, duration: Duration) -> Option<String> {
    let is_good = (LEAST_DURATION..=MAX_DELAY).contains(&duration);
    (!is_good).then(|| format!("{what} is {duration:?}, it must be 1 µs to ten years"))
}

/// Returns what is wrong with a key of any kind.
pub(crate) fn key_flaw(what: &str, key: &str) -> Option<String> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        let length = key.len();
        return Some(format!(
            "{what} has {length} bytes, it must have 1 to {MAX_KEY_BYTES}"
        ));
    }
    let has_nul = key.contains('\0');
    has_nul.then(|| format!("{what} has a NUL character"))
}

/// Returns a duration in whole milliseconds, as statements take it.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Returns a number of things, as statements take it.
pub(crate) fn count(things: usize) -> i64 {
    i64::try_from(things).unwrap_or(i64::MAX)
}

/// Returns the time in microseconds since 1970; one that is out of range becomes the nearest.
pub(crate) fn micros_since_1970(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => micros(after),
        Err(before) => {
            i64::try_from(before.duration().as_micros()).map_or(i64::MIN, i64::wrapping_neg)
        }
    }
}

/// Returns a duration in microseconds, as statements take it.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
