//! Taking messages by hand, under leases.

use crate::connect::connection::Connection;
use crate::message::floor::Floors;
use crate::observe::fields::told;
use crate::rate_limit;
use crate::receive::claim::Taken;
use crate::receive::lease::claim::{Wanted, check_lease, claim_anywhere, claim_near};
use crate::receive::options::{DEFAULT_LEASE, Options};
use crate::receive::telling::look_at_clock;
use crate::surface::manual::delivery::Delivery;
use crate::surface::manual::intake::Intake;
use crate::surface::manual::settle::LEAST_LEASE;
use crate::surface::messaging::Messaging;
use crate::surface::topics::Topic;
use crate::threads::mutex::Mutex;
use crate::words::topic;
use crate::words::topic_config::Rate;
use crate::words::{Error, Program, Result, TopicConfig};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most messages of one batch: all of them are in memory.
const MAX_BATCH: usize = 10_000;

impl Topic<'_> {
    /// Takes the next message under a lease, if one is ready. Nobody else gets it for this long;
    /// then it is delivered again unless it was settled. 1 ms to a day; `None` means the topic's
    /// [`lease`](crate::TopicConfig::lease), by default 30 s. Returns without waiting for messages,
    /// after one or a few round trips.
    ///
    /// The attempt counts from now on; the limit is the topic's
    /// [`max_attempts`](crate::TopicConfig::max_attempts), by default 10. A message that is over
    /// the limit, has expired, or has a payload that does not fit `T` becomes a dead letter, and
    /// the next one is taken; where thousands of these come first, a call may return `None` after a
    /// second, and the next call goes on. A paused topic returns `None`, and so does one that is
    /// over its [`rate`](crate::TopicConfig::rate) or has
    /// [`max_in_work`](crate::TopicConfig::max_in_work) messages in work. Strict order and the rate
    /// of each key apply to receivers only, not here.
    ///
    /// # Errors
    /// `Invalid` for a bad topic name or a lease out of range, `SchemaMissing`, `Unavailable`,
    /// `PoolExhausted`.
    pub fn receive<T: DeserializeOwned>(
        &self,
        lease: impl Into<Option<Duration>>,
    ) -> Result<Option<Delivery<T>>> {
        self.receive_batch(1, lease).map(|mut batch| batch.pop())
    }

    /// Takes up to `n` messages, 1 to 10,000, each under a lease of its own, like
    /// [`receive`](Self::receive). Returns fewer, or none, where there are no more. Deliveries that
    /// are dropped unsettled go back in one round trip each; [`Messaging::release_all`] is quicker
    /// for many.
    ///
    /// # Errors
    /// The same as [`receive`](Self::receive), and `Invalid` for `n` out of range.
    pub fn receive_batch<T: DeserializeOwned>(
        &self,
        n: usize,
        lease: impl Into<Option<Duration>>,
    ) -> Result<Vec<Delivery<T>>> {
        self.messaging.receive_from(&[self.name()], n, lease)
    }
}

impl Messaging {
    /// Takes up to `n` messages in all, 1 to 10,000, from several topics, each under a lease of its
    /// own, like [`Topic::receive`]. Each call begins with the next of the topics, so that none
    /// starves behind a busy one.
    ///
    /// # Errors
    /// The same as [`Topic::receive`], and `Invalid` for `n` out of range or an empty list of
    /// topics. If an error occurs after some messages were taken, those are returned, and the next
    /// call meets the error.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use outtray::Payload;
    /// use std::time::Duration;
    ///
    /// let lease = Duration::from_secs(60);
    /// let batch = messaging.receive_from::<Payload>(&["urgent", "usual"], 100, lease)?;
    /// for delivery in &batch {
    ///     println!("{}: {}", delivery.topic, delivery.payload);
    /// }
    /// let lost = messaging.ack_all(&batch)?;
    /// assert!(lost.is_empty(), "the work took longer than the leases");
    /// # Ok(()) }
    /// ```
    pub fn receive_from<T: DeserializeOwned>(
        &self,
        topics: &[&str],
        n: usize,
        lease: impl Into<Option<Duration>>,
    ) -> Result<Vec<Delivery<T>>> {
        self.intake(topics).batch(n, lease.into())
    }

    /// Returns what takes all messages of some topics.
    pub(crate) fn intake<'a>(&'a self, topics: &'a [&'a str]) -> Intake<'a> {
        Intake {
            messaging: self,
            topics,
            filter: None,
        }
    }

    /// Takes messages, those that a filter wants if there is one. Returns them, and when to come
    /// back although nobody tells of more: a rate or a limit held some back, or after so long all
    /// that was found had expired or could not be read.
    pub(crate) fn take_from<T: DeserializeOwned>(
        &self,
        topics: &[&str],
        n: usize,
        lease: Option<Duration>,
        filter: Option<&Program>,
        longest: Duration,
    ) -> Result<(Vec<Delivery<T>>, Option<Duration>)> {
        let until = Instant::now() + longest;
        if topics.is_empty() {
            return Err(Error::invalid("there is no topic to receive from"));
        }
        for topic in topics {
            topic::check(topic)?;
            lease.map_or(Ok(()), |lease| check_lease(topic, lease, LEAST_LEASE))?;
            if n == 0 || n > MAX_BATCH {
                return Err(Error::invalid(format!(
                    "batch of topic {topic} is of {n} messages, it must be 1 to {MAX_BATCH}"
                )));
            }
        }
        let mut batch = Vec::new();
        let mut again: Option<Duration> = None;
        let first = match topics {
            [_] => 0,
            _ => self.by_hand().next_turn() % topics.len(),
        };
        let (after, before) = topics.split_at(first);
        for topic in before.iter().chain(after) {
            if batch.len() == n {
                break;
            }
            match self.take(topic, (n, until), lease, filter, &mut batch) {
                Ok(wait) => again = [again, wait].into_iter().flatten().min(),
                Err(error) if batch.is_empty() => return Err(error),
                Err(error) => {
                    tracing::warn!(
                        topic = told(&topic),
                        error = told(&error),
                        "topic {topic}: fewer messages than there may be: {error}"
                    );
                    break;
                }
            }
        }
        Ok((batch, again))
    }

    /// Adds messages of one topic until the batch has `n`, there are no more, or it is late.
    /// Returns when there may be more all the same.
    fn take<T: DeserializeOwned>(
        &self,
        topic: &str,
        (n, until): (usize, Instant),
        lease: Option<Duration>,
        filter: Option<&Program>,
        batch: &mut Vec<Delivery<T>>,
    ) -> Result<Option<Duration>> {
        let (base, topic) = (self.base(), Arc::<str>::from(topic));
        let floors = match filter {
            None => self.by_hand().floors(&topic),
            Some(_) => passing_over(),
        };
        while batch.len() < n {
            let mut connection = self.pooled()?;
            base.process.configs.refresh(&mut *connection)?;
            base.process.configs.refuse_log(&topic)?;
            let setting = base.process.configs.get(&topic);
            if setting.as_ref().is_some_and(|setting| setting.is_paused) {
                return Ok(None);
            }
            let config = setting.as_ref().map(|setting| &setting.config);
            let lease = lease_of(lease, config);
            let wanted = Wanted {
                topic: &topic,
                floors: &floors,
                size: n - batch.len(),
                lease,
                filter,
                max_in_work: config.and_then(|config| config.max_in_work),
            };
            let found = match config.and_then(|config| config.rate) {
                None => self.find(&mut connection, wanted)?,
                Some(rate) => match self.find_at(rate, &mut connection, wanted)? {
                    Ok(found) => found,
                    Err(wait) => return Ok(Some(wait)),
                },
            };
            connection.touch();
            // Decoding runs the caller's code, which may take connections.
            drop(connection);
            let terms = Options::default().terms(config);
            let (is_full, wait) = (found.is_full, found.wait);
            let guarded = self.guard_all(found.messages, &topic, &terms, lease);
            self.sort(guarded, &terms, batch)?;
            if !is_full {
                return Ok(wait);
            }
            if Instant::now() >= until {
                return Ok(Some(Duration::ZERO));
            }
        }
        Ok(None)
    }

    /// The same as [`find`](Self::find) for as many messages as a rate allows now; for none it
    /// returns how long to wait.
    fn find_at(
        &self,
        rate: Rate,
        connection: &mut Connection,
        mut wanted: Wanted<'_>,
    ) -> Result<Result<Taken, Duration>> {
        let grant = rate_limit::take(connection, wanted.topic, rate, wanted.size)?;
        if grant.tokens == 0 {
            return Ok(Err(grant.wait));
        }
        wanted.size = grant.tokens;
        let found = self.find(connection, wanted)?;
        let spare = [("", wanted.size - found.messages.len())];
        if let Err(error) = rate_limit::give_back(connection, wanted.topic, rate, &spare) {
            // What is leased is delivered all the same.
            let topic = wanted.topic;
            tracing::warn!(
                topic = told(topic),
                error = told(&error),
                "topic {topic}: starts that the rate allowed are lost: {error}"
            );
        }
        Ok(Ok(found))
    }

    /// Looks for messages: from the floors, and then everywhere, since the caller asked.
    fn find(&self, connection: &mut Connection, wanted: Wanted<'_>) -> Result<Taken> {
        look_at_clock(&self.base().process.observers, connection);
        // Without receivers nobody else does it.
        let is_moved = self.by_hand().takes_move();
        let moved = is_moved.then(|| self.move_due(connection));
        let mut found = claim_near(connection, wanted)?;
        if found.is_full || found.is_sure && matches!(moved, Some(Ok(_))) {
            if let Some(Err(error)) = moved {
                // Not more than once a second.
                tracing::warn!(
                    error = told(&error),
                    "what is due stays where it is: {error}"
                );
            }
            return Ok(found);
        }
        let moved = moved.unwrap_or_else(|| self.move_due(connection));
        if found.is_sure && !is_moved && matches!(moved, Ok(false)) {
            return Ok(found);
        }
        // What came back to its place is below the floors.
        let size = wanted.size - found.messages.len();
        let rest = claim_anywhere(connection, Wanted { size, ..wanted });
        let rest = rest.map(|rest| found.add(rest));
        // What is leased is delivered, and an error met again.
        match rest.and(moved) {
            Err(error) if found.messages.is_empty() => Err(error),
            _ => Ok(found),
        }
    }
}

/// Returns for how long a message is leased: as the caller says, else the topic.
fn lease_of(named: Option<Duration>, config: Option<&TopicConfig>) -> Duration {
    let topics = || config.and_then(|config| config.lease);
    named.or_else(topics).unwrap_or(DEFAULT_LEASE)
}

/// Returns floors for one call of a filter: what it passes over lies below where others may begin
/// to look.
fn passing_over() -> Arc<Mutex<Floors>> {
    Arc::new(Mutex::new(Floors::new()))
}
