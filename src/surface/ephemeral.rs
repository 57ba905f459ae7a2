//! Ephemeral subscriptions, as their holder has them.

use crate::observe::fields::told;
use crate::publish::{self, TopicPattern, ephemeral};
use crate::surface::messaging::Messaging;
use crate::words::pattern::check_pattern;
use crate::words::{Error, Filter, Result, chain};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The grace times that are taken.
const SHORTEST_GRACE: Duration = Duration::from_secs(1);
const LONGEST_GRACE: Duration = Duration::from_secs(7 * 86_400);

/// A subscription that lasts as long as this value: with a topic of its own, which has a new name
/// and gets what is published from now on.
///
/// Dropping it ends the subscription and removes the topic's messages, which blocks for a
/// connection of the pool, some round trips and twelve milliseconds; [`end`](Self::end) also tells
/// whether that worked.
/// If the process dies instead, or dropping fails, any process with a receiver does it after the
/// grace time. A message that somebody has in hand stays until it is done.
///
/// ```no_run
/// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
/// # use std::time::Duration;
/// let minute = Duration::from_secs(60);
/// let prices = messaging.subscribe_ephemeral("prices.*", minute)?;
/// let topic = messaging.topic(prices.topic());
/// while let Some(price) = topic.receive_timeout::<u32>(minute, minute)? {
///     println!("{}", price.payload);
///     price.ack()?;
/// }
/// # Ok(()) }
/// ```
#[must_use = "it ends when it is dropped"]
pub struct EphemeralSubscription {
    messaging: Messaging,
    topic: String,
    grace: Duration,
    is_lost: Arc<AtomicBool>,
    has_ended: bool,
}

impl Messaging {
    /// Subscribes for as long as the returned value lives, with a new topic of its own, which gets
    /// whatever is [published](crate::MessagingSession::publish) with a matching key from now on.
    /// See [`subscribe`](Self::subscribe) for patterns.
    ///
    /// `grace` is how long the subscription outlives a process that dies, or that cannot reach the
    /// database: one second to a week. The process's upkeep says three times in it that the
    /// subscription is wanted: one statement for all of the process.
    ///
    /// # Errors
    /// Those of [`subscribe`](Self::subscribe), and `Invalid` for a grace time out of bounds.
    pub fn subscribe_ephemeral(
        &self,
        pattern: &str,
        grace: Duration,
    ) -> Result<EphemeralSubscription> {
        if !(SHORTEST_GRACE..=LONGEST_GRACE).contains(&grace) {
            return Err(Error::invalid(format!(
                "a grace time of {grace:?} is out of range, it is {SHORTEST_GRACE:?} to {LONGEST_GRACE:?}"
            )));
        }
        check_pattern(pattern)?;
        // Before there is anything that it would have to look after.
        let errands = self.errands()?;
        let subscription = EphemeralSubscription {
            messaging: self.clone(),
            topic: ephemeral::new_topic(),
            grace,
            is_lost: Arc::default(),
            has_ended: false,
        };
        subscription.subscribe(pattern, None)?;
        let holdings = &self.base().process.holdings;
        holdings.hold(&subscription.topic, grace, &subscription.is_lost);
        errands.look();
        Ok(subscription)
    }
}

impl EphemeralSubscription {
    /// Returns the name of the topic, for whoever receives from it.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Subscribes the topic to one more pattern.
    ///
    /// # Errors
    /// Those of [`Messaging::subscribe`]; `Invalid` too once the subscription
    /// [is lost](Self::is_lost).
    pub fn add(&self, pattern: &str) -> Result<()> {
        check_pattern(pattern)?;
        self.subscribe(pattern, None)
    }

    /// Does the same for messages whose headers match a filter; see
    /// [`Messaging::subscribe_matching`].
    ///
    /// # Errors
    /// Those of [`Messaging::subscribe_matching`]; `Invalid` too once the subscription
    /// [is lost](Self::is_lost).
    pub fn add_matching(&self, pattern: &str, filter: &Filter) -> Result<()> {
        check_pattern(pattern)?;
        filter.check(&self.topic)?;
        self.subscribe(pattern, Some(filter))
    }

    /// Returns whether others ended the subscription, since this process could not be heard of for
    /// the grace time: it gets nothing any more, and what it had is gone.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Ends the subscription and removes the topic's messages.
    ///
    /// # Errors
    /// `Unavailable`, `PoolExhausted` and others: then it ends after the grace time.
    pub fn end(mut self) -> Result<()> {
        self.end_now()
    }

    fn subscribe(&self, pattern: &str, filter: Option<&Filter>) -> Result<()> {
        let topic = &self.topic;
        if self.is_lost() {
            return Err(Error::invalid(format!(
                "topic {topic}, which is ephemeral, was ended by others: subscribe anew"
            )));
        }
        let pair = TopicPattern { topic, pattern };
        self.messaging.with_connection(|connection, _| {
            publish::subscribe(connection, &pair, filter, Some(self.grace), None)
        })?;
        self.messaging.settle_subscriptions();
        Ok(())
    }

    fn end_now(&mut self) -> Result<()> {
        self.has_ended = true;
        self.messaging.base().process.holdings.leave(&self.topic);
        self.messaging
            .with_connection(|connection, _| ephemeral::end(connection, &self.topic))?;
        self.messaging.settle_subscriptions();
        self.messaging.with_connection(|connection, base| {
            ephemeral::empty(connection, &base.waker, &self.topic, Duration::MAX).map(drop)
        })
    }
}

impl Drop for EphemeralSubscription {
    fn drop(&mut self) {
        if !self.has_ended
            && let Err(error) = self.end_now()
        {
            let (topic, error) = (&self.topic, chain(&error));
            tracing::debug!(
                topic = told(topic),
                error = told(&error),
                "the ephemeral subscription of topic {topic} ends after its grace time: {error}"
            );
        }
    }
}

impl fmt::Debug for EphemeralSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EphemeralSubscription")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
