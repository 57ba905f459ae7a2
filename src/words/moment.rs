//! Times in JSON: RFC 3339 in UTC, to the millisecond.

use serde::{Serialize, Serializer};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last time that is written: the year 9999 ends soon after.
const LAST: Duration = Duration::from_secs(253_402_214_400);

/// Writes a time. A hand may have written others than those of 1970 to 9999: they become the
/// nearest.
pub(crate) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    let time = *time.clamp(&UNIX_EPOCH, &(UNIX_EPOCH + LAST));
    to.collect_str(&humantime::format_rfc3339_millis(time))
}

/// The same for a time that may be missing.
pub(crate) mod optional {
    use super::{Serialize, Serializer, SystemTime};

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<SystemTime>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Time<'t>(#[serde(with = "super")] &'t SystemTime);
        time.as_ref().map(Time).serialize(to)
    }
}
