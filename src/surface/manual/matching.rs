//! Taking by hand only the messages that a filter wants.

use crate::surface::manual::delivery::Delivery;
use crate::surface::manual::intake::Intake;
use crate::surface::messaging::Messaging;
use crate::surface::topics::Topic;
use crate::wake::interrupt::Wait;
use crate::words::{Filter, Result};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// The messages of one or more topics that match a filter, to be taken by hand. Made by
/// [`Topic::matching`] and [`Messaging::matching`].
///
/// Each method works like the method of [`Topic`] with its name, and leaves messages that do not
/// match to others. Each call searches the topic from its beginning and walks over what does not
/// match: a second where millions of such messages come first. A wait spends at most a tenth of its
/// time on searches that find none.
///
/// # Errors
/// Of all methods: those of [`Topic::receive_batch`], and `Invalid` for a malformed
/// [filter](Filter).
#[derive(Debug, Clone)]
#[must_use = "nothing is taken yet"]
pub struct Matching<'m> {
    messaging: &'m Messaging,
    topics: Vec<String>,
    filter: Filter,
}

impl<'m> Topic<'m> {
    /// Selects the topic's messages that match a filter, to [receive](Matching::receive) only
    /// those.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use outtray::{Filter, Payload};
    /// use std::time::Duration;
    ///
    /// let large = messaging.topic("orders").matching(Filter::new().at_least("amount", 10_000));
    /// if let Some(order) = large.receive::<Payload>(Duration::from_secs(60))? {
    ///     println!("{}: {}", order.headers["amount"], order.payload);
    ///     order.ack()?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn matching(&self, filter: Filter) -> Matching<'m> {
        self.messaging.matching(&[self.name()], filter)
    }
}

impl Messaging {
    /// Selects the messages of several topics that match a filter, to [receive](Matching::receive)
    /// only those. Each call begins with the next of the topics, like
    /// [`receive_from`](Self::receive_from).
    pub fn matching(&self, topics: &[&str], filter: Filter) -> Matching<'_> {
        Matching {
            messaging: self,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            filter,
        }
    }
}

impl Matching<'_> {
    /// Takes the next message that matches, if one is ready; see [`Topic::receive`].
    pub fn receive<T: DeserializeOwned>(
        &self,
        lease: impl Into<Option<Duration>>,
    ) -> Result<Option<Delivery<T>>> {
        self.receive_batch(1, lease).map(|mut batch| batch.pop())
    }

    /// Takes up to `n` messages that match, 1 to 10,000; see [`Topic::receive_batch`].
    pub fn receive_batch<T: DeserializeOwned>(
        &self,
        n: usize,
        lease: impl Into<Option<Duration>>,
    ) -> Result<Vec<Delivery<T>>> {
        self.take_by(|intake| intake.batch(n, lease.into()))
    }

    /// Like [`receive`](Self::receive), but waits up to this long for a message that matches; see
    /// [`Topic::receive_timeout`].
    pub fn receive_timeout<T: DeserializeOwned>(
        &self,
        wait: impl Into<Wait>,
        lease: impl Into<Option<Duration>>,
    ) -> Result<Option<Delivery<T>>> {
        self.receive_batch_timeout(1, wait, lease)
            .map(|mut batch| batch.pop())
    }

    /// Like [`receive_batch`](Self::receive_batch), but waits up to this long while no message
    /// matches; see [`Topic::receive_batch_timeout`].
    pub fn receive_batch_timeout<T: DeserializeOwned>(
        &self,
        n: usize,
        wait: impl Into<Wait>,
        lease: impl Into<Option<Duration>>,
    ) -> Result<Vec<Delivery<T>>> {
        self.take_by(|intake| intake.batch_within(n, wait.into(), lease.into()))
    }

    fn take_by<R>(&self, take: impl FnOnce(Intake<'_>) -> Result<R>) -> Result<R> {
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        take(Intake {
            messaging: self.messaging,
            topics: &topics,
            filter: Some(&self.filter),
        })
    }
}
