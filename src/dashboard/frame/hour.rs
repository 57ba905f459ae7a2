//! The last hour, minute by minute, for charts.
//!
//! A minute that is over does not change, but for what processes write late. So the sums over all
//! topics are kept here, and a look reads the minutes since the last one, and a few before.

use crate::dashboard::frame::minutes::{MinuteSums, recent, sums_of, sums_since};
use crate::dashboard::frame::view::{PageTrouble, View};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Minutes of a chart.
const MINUTES: u32 = 60;
/// So many minutes are read again, as processes may have written late.
const AGAIN: i64 = 2;
/// How long they are kept: new ones come once a minute.
const KEEP: Duration = Duration::from_secs(15);
/// Of how many minutes a rate is.
const RATE_MINUTES: i64 = 5;

/// What became of messages in the last hour.
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
    /// Returns the last hour of a topic, or of all, without the minute that has just begun.
    pub(crate) fn last_hour(&self, topic: Option<&str>) -> Result<Arc<LastHour>, PageTrouble> {
        let name = format!("hour {}", topic.unwrap_or_default());
        self.kept(&name, KEEP, || {
            let Some(topic) = topic else {
                return self.last_hour_of_all();
            };
            let (now, read) = self.look(|run| sums_of(run, topic, MINUTES + 1))?;
            Ok(LastHour::new(now, &read.into_iter().collect()))
        })
    }

    fn last_hour_of_all(&self) -> Result<LastHour, PageTrouble> {
        let mut known = self.site.hour.0.lock();
        let last = known.last_key_value();
        let from = last.map_or(0, |(minute, _)| minute - AGAIN);
        let most = i64::from(MINUTES) + 1;
        let (now, read) = self.look(|run| sums_since(run, from, most))?;
        known.extend(read);
        known.retain(|minute, _| *minute >= now - most);
        Ok(LastHour::new(now, &known))
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
