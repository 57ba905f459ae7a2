//! The poll: one query for a whole process, which finds whatever no hint told of.

use crate::db::{Run, Statement, column, query, sql};
use crate::expiry::distance;
use crate::threads::cost::Cost;
use crate::wake::round::{Polled, PolledTopic, Round, Work};
use crate::wake::waker::Waker;
use crate::words::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::time::{Duration, Instant};

static POLL: Statement = sql!("poll", Kept);

/// Polls take at most one part in this many of the time: 1 %.
const POLL_SHARE: u32 = 100;
/// What a poll may take on a busy machine however few rows there are, mostly to be planned: not
/// rationed, or the messages of a killed process would wait for seconds.
const POLL_FREE: Duration = Duration::from_millis(50);
/// How long polling stands still for that at most: what took long may have been the wait for a
/// pooler's connection, and where nothing is notified, whoever waits for a message waits for the
/// poll.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How soon the process asks again after a worker parked, whatever the poll interval: messages that
/// are left are in other hands, and a process that dies with them tells nobody. As long as they are
/// there this repeats itself; a process with nothing to do stays at its poll interval.
const GLANCE_INTERVAL: Duration = Duration::from_millis(500);

/// When to poll next.
pub(crate) struct Poll {
    interval: Duration,
    at: Instant,
    cost: Cost,
    /// Whether the last poll asked the database: somebody waited.
    is_asking: bool,
    glance_at: Instant,
    /// When settings of topics changed last, as far as they were read.
    changed_at: Option<String>,
    /// The newest tick of each log at the last poll.
    ticks: HashMap<String, i64>,
    /// What the last poll saw, until the other rounds learned it.
    seen: Option<Polled>,
}

impl Poll {
    pub(crate) fn new(interval: Duration) -> Self {
        let now = Instant::now();
        Poll {
            interval,
            at: now,
            cost: Cost::default(),
            is_asking: false,
            glance_at: now + GLANCE_INTERVAL,
            changed_at: None,
            ticks: HashMap::new(),
            seen: None,
        }
    }

    /// Makes the poll due now: hints may have been lost.
    pub(crate) fn look_now(&mut self) {
        self.at = Instant::now();
    }

    /// The same, unless polls go on anyway: somebody waits now.
    pub(crate) fn look_unless_asking(&mut self) {
        if !self.is_asking {
            self.look_now();
        }
    }

    /// Returns when to [glance](Self::glance) next.
    pub(crate) fn glance_at(&self) -> Instant {
        self.glance_at
    }

    /// Makes the poll due if it is time to glance, and a worker parked since the last time.
    pub(crate) fn glance(&mut self, waker: &Waker, now: Instant) {
        if self.glance_at <= now {
            self.glance_at = now + GLANCE_INTERVAL;
            if waker.board.take_parked() {
                self.at = self.at.min(now);
            }
        }
    }

    /// Takes what the last poll saw.
    pub(crate) fn take_seen(&mut self) -> Option<Polled> {
        self.seen.take()
    }

    /// Returns whether a log has another newest tick than at the last poll.
    fn has_ticked(&self, state: &PolledTopic) -> bool {
        state.newest_tick.is_some() && self.ticks.get(&state.topic) != state.newest_tick.as_ref()
    }

    fn learn_ticks(&mut self, polled: &Polled) {
        let ticks = polled.topics.iter();
        let ticks = ticks.filter_map(|state| Some((state.topic.clone(), state.newest_tick?)));
        self.ticks = ticks.collect();
    }

    /// Plans the next poll after one that began at `started`. Behind many dead rows a poll is slow,
    /// as a sweep is: it gets its share and no more.
    fn pay(&mut self, started: Instant) {
        let cost = started.elapsed().saturating_sub(POLL_FREE);
        let pause = self.cost.learn(cost) * POLL_SHARE;
        let paid_for = Instant::now() + pause.min(LONGEST_PAUSE);
        self.at = self.at.max(paid_for);
        self.glance_at = self.glance_at.max(paid_for);
    }
}

impl Round for Poll {
    fn at(&self) -> Option<Instant> {
        Some(self.at)
    }

    /// Asks once for all topics of the process.
    fn run(&mut self, work: &mut Work<'_>) -> Result<()> {
        let started = Instant::now();
        self.at = started + self.interval;
        let mut topics = work.waker.board.topics();
        if topics.is_empty() && !work.waker.waiters.is_empty() {
            // A topic that there cannot be: what is asked for all topics is asked for those who
            // wait for ends.
            topics.push(String::new());
        }
        self.is_asking = !topics.is_empty();
        if !self.is_asking {
            return Ok(());
        }
        let polled = poll(work.connection, &topics);
        let polled = polled.inspect_err(|error| {
            if error.kind() == ErrorKind::Unavailable {
                work.connection.outdate_all();
            }
        })?;
        if polled.changed_at != self.changed_at {
            work.settings.read(work.connection)?;
            self.changed_at.clone_from(&polled.changed_at);
            // Who was paused or limited looks again.
            work.waker.board.ring_all();
        }
        self.pay(started);
        let is_new = |state: &&PolledTopic| state.is_ready || self.has_ticked(state);
        for state in polled.topics.iter().filter(is_new) {
            work.waker.board.ring(&state.topic, 1);
        }
        self.learn_ticks(&polled);
        self.seen = Some(polled);
        Ok(())
    }
}

fn poll(run: &mut dyn Run, topics: &[String]) -> Result<Polled> {
    let mut polled = Polled::default();
    for row in query(run, &POLL, &[&topics], "polling")? {
        // Nothing else may notice: who has nothing to do writes nothing.
        if column(&row, "only_reads")? {
            let text = "the server takes no writes any more: looking for another one";
            return Err(Error::new(ErrorKind::Unavailable, text));
        }
        let suspect_ms: i64 = column(&row, "suspect_ms")?;
        let due_us: Option<i64> = column(&row, "due_us")?;
        polled.topics.push(PolledTopic {
            topic: column(&row, "topic")?,
            is_ready: column(&row, "is_ready")?,
            newest_tick: column(&row, "newest_tick")?,
            suspect_for: Duration::from_millis(suspect_ms.unsigned_abs()),
        });
        polled.has_stalled = column(&row, "has_stalled")?;
        polled.changed_at = column(&row, "changed_at")?;
        polled.has_dependents = column(&row, "has_dependents")?;
        polled.has_cancellations = column(&row, "has_cancellations")?;
        polled.next_due = due_us.map(|us| Duration::from_micros(us.unsigned_abs()));
        polled.next_unsubscribed = column::<Option<i64>>(&row, "unsubscribed_us")?.map(distance);
        polled.next_expiry = column::<Option<i64>>(&row, "expiry_us")?.map(distance);
        #[cfg(feature = "cron")]
        {
            polled.next_recurring = column::<Option<i64>>(&row, "recurring_us")?.map(distance);
        }
    }
    Ok(polled)
}
