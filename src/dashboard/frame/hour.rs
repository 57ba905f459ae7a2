//! The last hour, minute by minute, for charts.
//!
//! A minute that is over does not change, but for what processes write late. So the sums over all
//! topics are kept here, and a look reads the minutes since the last one, and a few before.

use crate::dashboard::frame::minutes::{MinuteSums, recent, sums_of, sums_since};
use crate::dashboard::frame::site::Site;
use crate::dashboard::frame::view::{PageTrouble, View};
use crate::words::sqlstate::is_interrupted;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Minutes of a chart.
const MINUTES: u32 = 60;
/// So many minutes are read again, as processes may have written late.
const AGAIN: i64 = 2;
/// How long they are kept: new ones come once a minute.
const KEEP: Duration = Duration::from_secs(15);
/// How long the sums over all topics are kept: three minutes of 10,000 topics take some
/// milliseconds.
const KEEP_SUMS: Duration = Duration::from_secs(30);
/// Of how many minutes a rate is.
const RATE_MINUTES: i64 = 5;

/// What became of messages in the last hour; without sums where they could not be read.
#[derive(Default)]
pub(crate) struct LastHour {
    /// The first minute, since 1970.
    pub(crate) first: i64,
    /// One for each minute, the oldest first.
    pub(crate) sums: Vec<MinuteSums>,
}

impl LastHour {
    /// Puts together the minutes before this one.
    fn new(now: i64, known: &BTreeMap<i64, MinuteSums>) -> LastHour {
        let first = now - i64::from(MINUTES);
        let sums = (first..now).map(|minute| known.get(&minute).copied().unwrap_or_default());
        LastHour {
            first,
            sums: sums.collect(),
        }
    }
}

impl View<'_> {
    /// Returns the last hour of a topic, without the minute that has just begun.
    pub(crate) fn last_hour(&self, topic: &str) -> Result<Arc<LastHour>, PageTrouble> {
        self.kept(&format!("hour {topic}"), KEEP, || {
            let (now, read) = self.look(|run| sums_of(run, topic, MINUTES + 1))?;
            Ok(LastHour::new(now, &read.into_iter().collect()))
        })
    }

    /// Returns the last hour of all topics; `None` where the database could not sum it up in time,
    /// or is still doing so.
    pub(crate) fn last_hour_of_all(&self) -> Result<Option<Arc<LastHour>>, PageTrouble> {
        let found = self.soon("hour of all", |_| KEEP_SUMS, Site::last_hour)?;
        Ok(found.filter(|hour| !hour.sums.is_empty()))
    }

    /// Returns how many messages of each of some topics were handled a minute, of late.
    pub(crate) fn rates(
        &self,
        topics: &[String],
    ) -> Result<Arc<HashMap<String, u64>>, PageTrouble> {
        let name = format!("rates {}", topics.join("\n"));
        self.kept(&name, KEEP, || {
            let found = self.look(|run| recent(run, topics, RATE_MINUTES))?;
            let rates = found.into_iter();
            Ok(rates
                .map(|(topic, done)| (topic, done.div_ceil(RATE_MINUTES.unsigned_abs())))
                .collect())
        })
    }
}

impl Site {
    fn last_hour(&self) -> Result<LastHour, PageTrouble> {
        let mut known = self.hour.0.lock();
        let last = known.last_key_value();
        let from = last.map_or(0, |(minute, _)| minute - AGAIN);
        let most = i64::from(MINUTES) + 1;
        let (now, read) = match self.look(|run| sums_since(run, from, most)) {
            Err(error) if is_interrupted(&error) => return Ok(LastHour::default()),
            found => found?,
        };
        known.extend(read);
        known.retain(|minute, _| *minute >= now - most);
        Ok(LastHour::new(now, &known))
    }
}
