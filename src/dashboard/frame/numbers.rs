//! What topics have, for pages: read in bounded time, and kept for a moment.
//!
//! The names of all topics and the estimates for all of them cost the more the more topics there
//! are, and are kept for as long as that is cheap. Messages are counted only for the topics of the
//! page, and only so far.

use crate::dashboard::frame::shelf::KeptFor;
use crate::dashboard::frame::view::{PageTrouble, View};
use crate::db::Run;
use crate::db::commands::GIVE_UP_SOON;
use crate::topics;
use crate::topics::backlogs::{Depth, Estimates, TopicBacklog, estimates, looked_into};
use crate::words::{Doing, Result};
use std::sync::Arc;
use std::time::Duration;

/// How long the names of topics are kept at least.
const KEEP_NAMES: Duration = Duration::from_secs(10);
/// How long estimates are kept at least.
const KEEP_ESTIMATES: Duration = Duration::from_secs(5);
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
        self.kept("names", KeptFor::Cost(KEEP_NAMES), || {
            Ok(self.look(|run| topics::topics(run))?)
        })
    }

    /// Returns how many messages topics have about.
    pub(crate) fn estimates(&self) -> Result<Arc<Estimates>, PageTrouble> {
        self.kept("estimates", KeptFor::Cost(KEEP_ESTIMATES), || {
            Ok(self.look(|run| estimates(run))?)
        })
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
        self.kept(&name, KeptFor::Time(KEEP_NUMBERS), || {
            Ok(self.look(|run| looked_into(run, topics, depth, |_| Ok(estimates)))?)
        })
    }
}
