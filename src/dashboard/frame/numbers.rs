//! What topics have, for pages: read in bounded time, and kept for a moment.
//!
//! The names of all topics and the estimates for all of them cost the more the more topics there
//! are, and are kept for as long as that is cheap. Messages are counted only for the topics of the
//! page, and only so far.

use crate::dashboard::frame::view::{PageTrouble, View};
use crate::db::Run;
use crate::db::commands::GIVE_UP_SOON;
use crate::topics;
use crate::topics::backlogs::{Depth, Estimates, TopicBacklog, estimates, looked_into};
use crate::words::sqlstate::is_interrupted;
use crate::words::{Doing, Result};
use std::sync::Arc;
use std::time::Duration;

/// How long the names of topics, and estimates, are kept at least.
const KEEP_LISTS: Duration = Duration::from_secs(5);
/// How long they are kept at most.
const KEEP_LONGEST: Duration = Duration::from_secs(300);
/// What is found is kept for so many times what it costs the database: of the five seconds between
/// two refreshes, two milliseconds are spent on it.
const SHARE: u32 = 2_500;
/// What a topic costs in either list.
const COST_OF_TOPIC: Duration = Duration::from_micros(9);
/// What a message costs in the sample behind the estimates, and how many that has at most.
const COST_OF_MESSAGE: Duration = Duration::from_nanos(250);
const MOST_SAMPLED: u64 = 220_000;
/// How long the numbers of a page are kept: less than until its next refresh.
const KEEP_NUMBERS: Duration = Duration::from_secs(2);

/// How far the topics of a list are looked into: some 50 of them take a few milliseconds.
pub(crate) const SHALLOW: Depth = Depth {
    counted: 500,
    looked_at: 100,
};

impl View<'_> {
    /// Asks the database something, which gives up where it takes too long.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut dyn Run) -> Result<R>) -> Result<R> {
        self.messaging().in_order(|run| {
            run.commands(&[&GIVE_UP_SOON]).doing("looking at topics")?;
            look(run)
        })
    }

    /// Returns the names of all topics, sorted.
    pub(crate) fn topic_names(&self) -> Result<Arc<Vec<String>>, PageTrouble> {
        self.site.shelf.get(
            "names",
            |names: &Vec<String>| kept_for(names.len(), 0),
            || Ok(self.look(|run| topics::topics(run))?),
        )
    }

    /// Returns how many messages topics have about; none where the database could not say so in
    /// time. A page shows what it has without them.
    pub(crate) fn estimates(&self) -> Result<Arc<Estimates>, PageTrouble> {
        self.site.shelf.get(
            "estimates",
            |estimates: &Estimates| {
                let messages = estimates.values().flatten();
                let messages = messages.map(|count| count.unsigned_abs()).sum();
                kept_for(estimates.len(), messages)
            },
            || match self.look(|run| estimates(run)) {
                Err(error) if is_interrupted(&error) => Ok(Estimates::default()),
                found => Ok(found?),
            },
        )
    }

    /// Returns the numbers of some topics, in their order.
    pub(crate) fn backlogs(
        &self,
        topics: &[String],
        depth: Depth,
    ) -> Result<Arc<Vec<TopicBacklog>>, PageTrouble> {
        // No topic has a line break in its name.
        let name = format!("numbers {} {}", depth.counted, topics.join("\n"));
        let estimates = self.estimates()?;
        self.kept(&name, KEEP_NUMBERS, || {
            Ok(self.look(|run| looked_into(run, topics, depth, |_| Ok(estimates)))?)
        })
    }
}

/// Returns how long a list of so many topics, from a sample of so many messages, is kept. How long
/// it took would say more of what else the machines did at that moment.
fn kept_for(topics: usize, messages: u64) -> Duration {
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let of_topics = COST_OF_TOPIC.saturating_mul(count(topics as u64));
    let of_messages = COST_OF_MESSAGE.saturating_mul(count(messages.min(MOST_SAMPLED)));
    let cost = of_topics.saturating_add(of_messages);
    cost.saturating_mul(SHARE).clamp(KEEP_LISTS, KEEP_LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_more_is_kept_longer() {
        for (topics, messages, seconds) in [
            (0, 0, 5),
            (100, 5_000, 5),
            (1_000, 0, 22),
            (10_000, 0, 225),
            (10, u64::MAX, 137),
            (10_000_000, u64::MAX, 300),
        ] {
            assert_eq!(kept_for(topics, messages).as_secs(), seconds, "{topics}");
        }
    }
}
