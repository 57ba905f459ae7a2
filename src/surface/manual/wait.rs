//! Waiting for messages to take.

use crate::receive::filter::FilterBudget;
use crate::surface::manual::delivery::Delivery;
use crate::surface::messaging::Messaging;
use crate::surface::topics::Topic;
use crate::wake::board::Station;
use crate::wake::interrupt::Wait;
use crate::words::Result;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};

/// The least time that a topic is left alone which is over its rate: rates may be high.
const LEAST_WAIT: Duration = Duration::from_millis(1);
/// The longest: others may put tokens back that they did not need, and tell nobody.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The longest time between two looks at the deadline, and at what interrupts the wait.
const LONGEST_LOOK: Duration = Duration::from_millis(50);

impl Topic<'_> {
    /// Like [`receive`](Self::receive), but waits up to this long for a message; see
    /// [`Messaging::receive_from_timeout`].
    ///
    /// # Errors
    /// The same as [`receive`](Self::receive).
    pub fn receive_timeout<T: DeserializeOwned>(
        &self,
        wait: impl Into<Wait>,
        lease: impl Into<Option<Duration>>,
    ) -> Result<Option<Delivery<T>>> {
        self.receive_batch_timeout(1, wait, lease)
            .map(|mut batch| batch.pop())
    }

    /// Like [`receive_batch`](Self::receive_batch), but waits up to this long while there is no
    /// message at all; see [`Messaging::receive_from_timeout`].
    ///
    /// # Errors
    /// The same as [`receive_batch`](Self::receive_batch).
    pub fn receive_batch_timeout<T: DeserializeOwned>(
        &self,
        n: usize,
        wait: impl Into<Wait>,
        lease: impl Into<Option<Duration>>,
    ) -> Result<Vec<Delivery<T>>> {
        self.messaging
            .receive_from_timeout(&[self.name()], n, wait, lease)
    }
}

impl Messaging {
    /// Like [`receive_from`](Self::receive_from), but waits up to this long while there is no
    /// message at all; it does not wait for a full batch. Returns an empty batch when the time runs
    /// out.
    ///
    /// Blocks without holding a connection. Starts the threads that serve receivers, unless they
    /// run already; they wake the call at once. Where notifications are impossible it finds
    /// messages of other processes within the poll interval.
    ///
    /// # Errors
    /// The same as [`receive_from`](Self::receive_from), as soon as one occurs; `Interrupted` when
    /// [another thread](crate::Interrupt) ends the wait.
    ///
    /// ```no_run
    /// # fn f(messaging: &outtray::Messaging) -> outtray::Result<()> {
    /// use outtray::Payload;
    /// use std::time::Duration;
    ///
    /// let (wait, lease) = (Duration::from_secs(20), Duration::from_secs(60));
    /// let topics = ["urgent", "usual"];
    /// let batch = messaging.receive_from_timeout::<Payload>(&topics, 10, wait, lease)?;
    /// println!("{} messages", batch.len());
    /// # Ok(()) }
    /// ```
    pub fn receive_from_timeout<T: DeserializeOwned>(
        &self,
        topics: &[&str],
        n: usize,
        wait: impl Into<Wait>,
        lease: impl Into<Option<Duration>>,
    ) -> Result<Vec<Delivery<T>>> {
        self.intake(topics)
            .batch_within(n, wait.into(), lease.into())
    }

    /// Waits for messages, of those that a filter wants.
    pub(crate) fn wait_from<T: DeserializeOwned>(
        &self,
        topics: &[&str],
        n: usize,
        wait: Wait,
        lease: Option<Duration>,
        wanted: Option<&FilterBudget>,
    ) -> Result<Vec<Delivery<T>>> {
        let deadline = wait.deadline();
        wait.check()?;
        let filter = wanted.map(|wanted| &wanted.program);
        let (batch, _) = self.take_from(topics, n, lease, filter, LONGEST_LOOK)?;
        let stations = Station::shared(topics);
        let (false, Some(first)) = (!batch.is_empty(), stations.first()) else {
            return Ok(batch);
        };
        let errands = self.errands()?;
        let board = &self.base().waker.board;
        for station in &stations {
            board.add(station);
        }
        // What is scheduled may be due before the next poll.
        errands.look();
        loop {
            wait.check()?;
            // After the stations are on the board, so that nothing is missed in between.
            let started = Instant::now();
            let (batch, again) = match wanted.and_then(|wanted| wanted.too_early(started)) {
                Some(early) => (Vec::new(), Some(early)),
                None => self.take_from(topics, n, lease, filter, LONGEST_LOOK)?,
            };
            let now = Instant::now();
            if let Some(wanted) = wanted.filter(|_| again.is_none()) {
                wanted.learn(started, now, !batch.is_empty());
            }
            if !batch.is_empty() || now >= deadline {
                return Ok(batch);
            }
            if again.is_none() {
                board.note_parked();
            }
            let next = again.map_or(deadline, |again| {
                now + again.clamp(LEAST_WAIT, LONGEST_WAIT)
            });
            let _ = wait.until(first.permits(), next.min(deadline))?;
        }
    }
}
