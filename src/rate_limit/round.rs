//! Looks at what was put off when the rate of a topic's keys becomes another one.
//!
//! Whoever sets it looks too; but a process that has not heard of it yet goes on putting messages
//! off at the rate of before. So each process looks once more when it has heard of it.

use crate::rate_limit;
use crate::wake::round::{Polled, Round, Work};
use crate::words::Result;
use crate::words::topic_config::Rate;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// The rates of keys by topic, as this process obeys them.
#[derive(Debug, Default)]
pub(crate) struct KeyRates {
    /// `None` until the first poll.
    known: Option<BTreeMap<String, Rate>>,
    /// Topics to look at, each from the first key after this one on.
    changed: VecDeque<(String, String)>,
}

impl KeyRates {
    /// Learns the rates that hold now.
    fn learn(&mut self, rates: BTreeMap<String, Rate>) {
        if let Some(known) = &self.known {
            let topics = known.keys().chain(rates.keys());
            let changed = topics.filter(|topic| known.get(*topic) != rates.get(*topic));
            for topic in changed {
                self.changed.retain(|(waiting, _)| waiting != topic);
                self.changed.push_back((topic.clone(), String::new()));
            }
        }
        self.known = Some(rates);
    }
}

impl Round for KeyRates {
    fn at(&self) -> Option<Instant> {
        (!self.changed.is_empty()).then(Instant::now)
    }

    /// Looks at a thousand messages of one topic.
    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        let Some((topic, after)) = self.changed.front_mut() else {
            return Ok(());
        };
        let rates = self.known.as_ref();
        let rate = rates.and_then(|rates| rates.get(topic)).copied();
        let hastened = rate_limit::hasten_some(work.connection, topic, rate, after)?;
        if hastened.is_any {
            work.waker.due_in(Duration::ZERO);
        }
        match hastened.next {
            Some(next) => *after = next,
            None => drop(self.changed.pop_front()),
        }
        Ok(())
    }

    fn polled(&mut self, _: &Polled, work: &mut Work<'_>) -> Result<()> {
        let rates = work.settings.pick(|config| config.rate_per_key);
        self.learn(rates.into_iter().collect());
        Ok(())
    }
}
