//! What topics have, for pages: read in bounded time, and kept for a moment.
//!
//! The names of all topics and the estimates for all of them cost the more the more topics there
//! are, and are kept for as long as that is cheap. Messages are counted only for the topics of the
//! page, and only so far.

use crate::dashboard::frame::site::Site;
use crate::dashboard::frame::view::{PageTrouble, View};
use crate::db::Run;
use crate::db::commands::GIVE_UP_SOON;
use crate::topics;
use crate::topics::backlogs::{Depth, Estimates, TopicBacklog, estimates, looked_into};
use crate::words::sqlstate::is_interrupted;
use crate::words::{Doing, Result, limits};
use std::sync::Arc;
use std::time::Duration;

/// How long the names of topics, and estimates, are kept at least.
const KEEP_LISTS: Duration = Duration::from_secs(5);
/// How long they are kept at most.
const KEEP_LONGEST: Duration = Duration::from_secs(300);
/// Lists are kept for so many times what they cost the database: of the five seconds between two
/// refreshes, one millisecond is spent on each.
const SHARE: u32 = 5_000;
/// What a topic costs in either list.
const COST_OF_TOPIC: Duration = Duration::from_micros(9);
/// What a message costs in the sample behind the estimates, and how many that has at most.
const COST_OF_MESSAGE: Duration = Duration::from_nanos(250);
const MOST_SAMPLED: u64 = 220_000;
/// How long the numbers of a page are kept: less than until its next refresh, unless they cost more
/// than two milliseconds.
const KEEP_NUMBERS: Duration = Duration::from_secs(2);
const KEEP_WITHOUT_ESTIMATES: Duration = Duration::from_millis(500);
const KEEP_NUMBERS_LONGEST: Duration = Duration::from_secs(15);
const SHARE_OF_NUMBERS: u32 = 2_500;
/// What the numbers of a topic cost, and of it each message that is counted in an index, and each
/// that is looked at.
const COST_OF_LOOK: Duration = Duration::from_micros(20);
const COST_OF_COUNTED: Duration = Duration::from_nanos(150);
const COST_OF_LOOKED_AT: Duration = Duration::from_nanos(500);

/// How far the topics of a list are looked into: some 50 of them take a few milliseconds.
pub(crate) const SHALLOW: Depth = Depth {
    counted: 500,
    looked_at: 50,
};

/// The names of all topics.
pub(crate) enum TopicNames {
    All(Vec<String>),
    /// The database was not done with listing them in time.
    TooMany,
}

impl View<'_> {
    /// Asks the database something, which gives up where it takes too long.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut dyn Run) -> Result<R>) -> Result<R> {
        self.site.look(look)
    }

    /// Returns the names of all topics, sorted; `None` where they are too many to be listed, or are
    /// still being read.
    pub(crate) fn topic_names(&self) -> Result<Option<Arc<TopicNames>>, PageTrouble> {
        let kept = |names: &TopicNames| match names {
            TopicNames::All(names) => kept_for(names.len(), 0),
            TopicNames::TooMany => KEEP_LONGEST,
        };
        self.soon("names", kept, |site| {
            match site.look(|run| topics::topics(run, None, i64::MAX)) {
                Err(error) if is_interrupted(&error) => Ok(TopicNames::TooMany),
                found => Ok(TopicNames::All(found?)),
            }
        })
    }

    /// Returns the first so many names of topics. That is cheap, however many there are.
    pub(crate) fn first_topic_names(&self, most: usize) -> Result<Arc<Vec<String>>, PageTrouble> {
        let most_names = limits::count(most);
        self.kept(&format!("first names {most}"), KEEP_NUMBERS, || {
            Ok(self.look(|run| topics::topics(run, None, most_names))?)
        })
    }

    /// Returns how many messages topics have about; none where the database could not say so in
    /// time, or is still being asked. A page shows what it has without them.
    pub(crate) fn estimates(&self) -> Result<Option<Arc<Estimates>>, PageTrouble> {
        let kept = |estimates: &Option<Arc<Estimates>>| match estimates {
            Some(estimates) => {
                let messages = estimates.values().flatten();
                let messages = messages.map(|count| count.unsigned_abs()).sum();
                kept_for(estimates.len(), messages)
            }
            None => KEEP_LONGEST,
        };
        let found = self.soon("estimates", kept, |site| match site.look(estimates) {
            Err(error) if is_interrupted(&error) => Ok(None),
            found => Ok(Some(Arc::new(found?))),
        })?;
        Ok(found.and_then(|found| (*found).clone()))
    }

    /// Returns the numbers of some topics, in their order.
    pub(crate) fn backlogs(
        &self,
        topics: &[String],
        depth: Depth,
    ) -> Result<Arc<Vec<TopicBacklog>>, PageTrouble> {
        let estimates = self.estimates()?;
        // No topic has a line break in its name. What was shown without estimates is not shown
        // beside them.
        let (most, has_estimates) = (depth.counted, estimates.is_some());
        let name = format!("numbers {most} {has_estimates} {}", topics.join("\n"));
        let kept = |found: &Vec<TopicBacklog>| match estimates {
            Some(_) => numbers_kept_for(found, depth),
            None => KEEP_WITHOUT_ESTIMATES,
        };
        let known = estimates.clone().unwrap_or_default();
        self.site.shelf.get(&name, kept, || {
            Ok(self.look(|run| looked_into(run, topics, depth, |_| Ok(known)))?)
        })
    }
}

impl Site {
    /// Asks the database something, which gives up where it takes too long.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut dyn Run) -> Result<R>) -> Result<R> {
        self.messaging.in_order(|run| {
            run.commands(&[&GIVE_UP_SOON]).doing("looking at topics")?;
            look(run)
        })
    }
}

/// Returns how long the numbers of some topics are kept, by how many rows they are counted from.
fn numbers_kept_for(found: &[TopicBacklog], depth: Depth) -> Duration {
    let cost = found.iter().map(|one| {
        let counted = [one.ready, one.scheduled, one.behind, one.dead];
        let counted = counted.map(|count| count.min(depth.counted.unsigned_abs()));
        let looked_at = one.ready.min(depth.looked_at.unsigned_abs());
        COST_OF_LOOK
            + COST_OF_COUNTED.saturating_mul(count(counted.iter().sum()))
            + COST_OF_LOOKED_AT.saturating_mul(count(looked_at))
    });
    let cost: Duration = cost.sum();
    cost.saturating_mul(SHARE_OF_NUMBERS)
        .clamp(KEEP_NUMBERS, KEEP_NUMBERS_LONGEST)
}

/// Returns how long a list of so many topics, from a sample of so many messages, is kept. How long
/// it took would say more of what else the machines did at that moment.
fn kept_for(topics: usize, messages: u64) -> Duration {
    let of_topics = COST_OF_TOPIC.saturating_mul(count(topics as u64));
    let of_messages = COST_OF_MESSAGE.saturating_mul(count(messages.min(MOST_SAMPLED)));
    let cost = of_topics.saturating_add(of_messages);
    cost.saturating_mul(SHARE).clamp(KEEP_LISTS, KEEP_LONGEST)
}

fn count(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::backlogs::DEEP;

    #[test]
    fn what_costs_more_is_kept_longer() {
        for (topics, messages, seconds) in [
            (0, 0, 5),
            (50, 2_000, 5),
            (100, 5_000, 10),
            (1_000, 0, 45),
            (10_000, 0, 300),
            (10, u64::MAX, 275),
            (10_000_000, u64::MAX, 300),
        ] {
            assert_eq!(kept_for(topics, messages).as_secs(), seconds, "{topics}");
        }
    }

    #[test]
    fn numbers_that_cost_little_are_fresh_at_each_refresh() {
        let topics = |count, ready| {
            vec![
                TopicBacklog {
                    ready,
                    ..TopicBacklog::default()
                };
                count
            ]
        };
        for (topics, depth, ms) in [
            (topics(3, 10), SHALLOW, 2_000),
            (topics(1, 1 << 40), DEEP, 5_050),
            (topics(50, 500), SHALLOW, 15_000),
        ] {
            assert_eq!(numbers_kept_for(&topics, depth).as_millis(), ms);
        }
    }
}
