//! Messages taken by hand, for whoever asks: of one topic or several, all or those that a filter
//! wants.

use crate::receive::filter::FilterBudget;
use crate::surface::manual::delivery::Delivery;
use crate::surface::messaging::Messaging;
use crate::wake::interrupt::Wait;
use crate::words::{Filter, Result};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long one call goes on to look where all that comes first has expired or cannot be read.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// Where messages are taken from, and which.
pub(crate) struct Intake<'a> {
    pub(crate) messaging: &'a Messaging,
    pub(crate) topics: &'a [&'a str],
    /// `None` for all.
    pub(crate) filter: Option<&'a Filter>,
}

impl Intake<'_> {
    /// Takes up to `n` messages.
    pub(crate) fn batch<T: DeserializeOwned>(
        &self,
        n: usize,
        lease: Option<Duration>,
    ) -> Result<Vec<Delivery<T>>> {
        let wanted = self.wanted()?;
        let program = wanted.as_ref().map(|wanted| &wanted.program);
        let messaging = self.messaging;
        let taken = messaging.take_from(self.topics, n, lease, program, LONGEST_LOOK);
        taken.map(|(batch, _)| batch)
    }

    /// Takes up to `n` messages, and waits as long as there is none at all.
    pub(crate) fn batch_within<T: DeserializeOwned>(
        &self,
        n: usize,
        wait: Wait,
        lease: Option<Duration>,
    ) -> Result<Vec<Delivery<T>>> {
        let wanted = self.wanted()?;
        self.messaging
            .wait_from(self.topics, n, wait, lease, wanted.as_ref())
    }

    fn wanted(&self) -> Result<Option<FilterBudget>> {
        let Some(filter) = self.filter else {
            return Ok(None);
        };
        filter.check(self.topics.first().copied().unwrap_or_default())?;
        Ok(Some(FilterBudget::new(filter)))
    }
}
