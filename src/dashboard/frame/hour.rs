//! The last hour, minute by minute, for charts.
//!
//! A minute that is over does not change, but for what processes write late. So the sums over all
//! topics are kept here, and a look reads the minutes since the last one, and a few before.

use crate::dashboard::frame::minutes::{MinuteSums, recent, sums_since};
use crate::dashboard::frame::shelf::KeptFor;
use crate::dashboard::frame::view::{PageTrouble, View};
use crate::threads::mutex::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Minutes of a chart.
pub(crate) const MINUTES: i64 = 60;
/// So many minutes are read again, as processes may have written late.
const AGAIN: i64 = 2;
/// How long they are kept: new ones come once a minute.
const KEEP: Duration = Duration::from_secs(15);
/// Of how many minutes a rate is.
const RATE_MINUTES: i64 = 5;

/// The sums of the minutes that were read, by the minute since 1970.
#[derive(Debug, Default)]
pub(crate) struct Hour(Mutex<BTreeMap<i64, MinuteSums>>);

/// What became of messages in the last hour.
pub(crate) struct LastHour {
    /// The first minute, since 1970.
    pub(crate) first: i64,
    /// One for each minute, the oldest first.
    pub(crate) sums: Vec<MinuteSums>,
}

impl View<'_> {
    /// Returns the last hour of a topic, or of all, without the minute that has just begun.
    pub(crate) fn last_hour(&self, topic: Option<&str>) -> Result<Arc<LastHour>, PageTrouble> {
        let name = format!("hour {}", topic.unwrap_or_default());
        self.kept(&name, KeptFor::Cost(KEEP), || {
            let hour = &self.site.hour;
            match topic {
                Some(_) => Ok(self.read(topic, &mut BTreeMap::new())?),
                None => Ok(self.read(None, &mut hour.0.lock())?),
            }
        })
    }

    fn read(
        &self,
        topic: Option<&str>,
        known: &mut BTreeMap<i64, MinuteSums>,
    ) -> crate::words::Result<LastHour> {
        let last = known
            .last_key_value()
            .map_or(0, |(minute, _)| minute - AGAIN);
        let (now, read) = self.look(|run| sums_since(run, topic, last, MINUTES + 1))?;
        known.extend(read);
        let first = now - MINUTES;
        known.retain(|minute, _| *minute >= first);
        let sums = (first..now).map(|minute| known.get(&minute).copied().unwrap_or_default());
        Ok(LastHour {
            first,
            sums: sums.collect(),
        })
    }

    /// Returns how many messages of each of some topics were handled a minute, of late.
    pub(crate) fn rates(
        &self,
        topics: &[String],
    ) -> Result<Arc<HashMap<String, u64>>, PageTrouble> {
        let name = format!("rates {}", topics.join("\n"));
        self.kept(&name, KeptFor::Time(KEEP), || {
            let found = self.look(|run| recent(run, topics, RATE_MINUTES))?;
            let rates = found.into_iter();
            Ok(rates
                .map(|(topic, done)| (topic, done.div_ceil(RATE_MINUTES.unsigned_abs())))
                .collect())
        })
    }
}
