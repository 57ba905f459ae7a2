//! Running messages on the caller's thread, through time: what a test does in place of receivers.

use crate::connect::connection::Connection;
use crate::receive::batch_message::BatchMessage;
use crate::receive::ran::{Ran, RunOutcome};
use crate::receive::receivers::builder::ReceiverBuilder;
use crate::receive::receivers::running::RunExtent;
use crate::receive::shared_state::Base;
use crate::route::Router;
use crate::session::messaging_session::MessagingSession;
use crate::surface::messaging::Messaging;
use crate::words::{Error, ErrorKind, HandlerError, Message, MessageId, Result, classify, topic};
use crossbeam_channel::after;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often time may be skipped before a run that never becomes idle is given up.
const MOST_SKIPS: usize = 1000;
/// How often one message may be put off meanwhile without an attempt spent.
const MOST_SNOOZES: usize = 50;
/// Connections of the pool that may be broken when a run begins.
const MOST_BROKEN: usize = 16;
/// For how long at most a run waits for messages that are in other hands, and how often it looks.
const FREE_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Added to a skip: the database's clock is finer than what is asked.
const BEYOND: Duration = Duration::from_millis(1);

type TopicRun<'m> = Box<dyn FnMut(&'m Messaging, RunExtent<'_>) -> Result<()> + 'm>;

/// Runs messages on this thread, in place of receivers: one, all that are ready, or all until
/// nothing is left to do, also through delays and retries.
///
/// Messages go the way that workers take them, by the same code and the same statements: claim,
/// handler, settle, commit. Every method says of each message what [became](Ran) of it. No method
/// sleeps: where time has to pass, it [moves](Runner::advance) what the database has noted into the
/// past. Only where messages are in other hands, a run first waits until they are free, five
/// seconds at most: the server may not have noticed yet that a connection broke which held them.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use outtray::testing::{AssertSent, Runner, TestDatabase};
/// use outtray::{HandlerError, Message, MessagingSession};
///
/// fn ship(session: &mut MessagingSession, order: Message<i32>) -> Result<(), HandlerError> {
///     if order.attempt == 1 {
///         return Err("the printer is jammed".into());
///     }
///     session.send_message("mails", &format!("order {} is on its way", order.payload))?;
///     Ok(())
/// }
///
/// let database = TestDatabase::new()?;
/// let messaging = database.messaging();
/// messaging.session(|session| Ok(session.send_message("orders", &7)?))?;
///
/// let mut runner = Runner::new(messaging).on("orders", ship);
/// let first = runner.run_one("orders")?.expect("a message");
/// assert_eq!(first.error(), Some("the printer is jammed"));
/// messaging.assert_nothing_sent("mails");
///
/// // The backoff passes at once.
/// let ran = runner.run_until_idle()?;
/// assert!(ran.iter().all(|one| one.is_done() && one.attempt == 2));
/// messaging.assert_sent("mails", |mail: &String| mail == "order 7 is on its way");
/// # Ok(()) }
/// ```
///
/// Logs are not run: read them with a [tail](Messaging::tail), or start their readers. Nor is
/// strict order.
pub struct Runner<'m> {
    messaging: &'m Messaging,
    handlers: Vec<(String, TopicRun<'m>)>,
    ran: Vec<Ran>,
}

impl<'m> Runner<'m> {
    /// Makes one without handlers.
    pub fn new(messaging: &'m Messaging) -> Self {
        Runner {
            messaging,
            handlers: Vec::new(),
            ran: Vec::new(),
        }
    }

    /// Adds the handler of a topic, with a receiver's defaults; it takes the place of an earlier
    /// one. Handlers are called on this thread only, and may borrow and change what is around them.
    pub fn on<T, F>(self, topic: &str, handler: F) -> Self
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError> + 'm,
    {
        self.on_receiver(topic, |receiver| receiver, handler)
    }

    /// Adds the handler of a topic, with a receiver's options: attempts, backoff, a lease, a
    /// filter, middleware. `options` is called for each run.
    ///
    /// ```no_run
    /// # use outtray::{Message, Messaging, testing::Runner};
    /// # fn f(messaging: &Messaging) -> outtray::Result<()> {
    /// let mut runner = Runner::new(messaging).on_receiver(
    ///     "orders",
    ///     |receiver| receiver.max_attempts(3),
    ///     |_, _: Message| Err("no".into()),
    /// );
    /// let ran = runner.run_until_idle()?;
    /// assert!(ran.last().is_some_and(|last| last.is_dead() && last.attempt == 3));
    /// # Ok(()) }
    /// ```
    pub fn on_receiver<T, F>(
        self,
        topic: &str,
        options: impl Fn(ReceiverBuilder<'m>) -> ReceiverBuilder<'m> + 'm,
        mut handler: F,
    ) -> Self
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, Message<T>) -> Result<(), HandlerError> + 'm,
    {
        let name = topic.to_owned();
        self.add(topic, move |messaging, runs| {
            options(messaging.receiver(&name)).run(&mut handler, runs)
        })
    }

    /// Adds a handler of batches of up to `size` messages.
    pub fn on_batches<T, F>(
        self,
        topic: &str,
        options: impl Fn(ReceiverBuilder<'m>) -> ReceiverBuilder<'m> + 'm,
        size: usize,
        mut handler: F,
    ) -> Self
    where
        T: DeserializeOwned,
        F: FnMut(&mut MessagingSession<'_>, &[BatchMessage<T>]) -> Result<(), HandlerError> + 'm,
    {
        let name = topic.to_owned();
        self.add(topic, move |messaging, runs| {
            options(messaging.receiver(&name)).run_batches(size, &mut handler, runs)
        })
    }

    /// Adds a router as the handler of a topic.
    pub fn on_router(
        self,
        topic: &str,
        options: impl Fn(ReceiverBuilder<'m>) -> ReceiverBuilder<'m> + 'm,
        router: Router,
    ) -> Self {
        let name = topic.to_owned();
        self.add(topic, move |messaging, runs| {
            options(messaging.receiver(&name)).run_router(&router, runs)
        })
    }

    fn add(
        mut self,
        topic: &str,
        run: impl FnMut(&'m Messaging, RunExtent<'_>) -> Result<()> + 'm,
    ) -> Self {
        self.handlers.retain(|(name, _)| name != topic);
        self.handlers.push((topic.to_owned(), Box::new(run)));
        self
    }

    /// Runs the next message of a topic, alone in its transaction; a handler of batches gets a
    /// batch of one. Returns `None` where none is ready or due.
    ///
    /// # Errors
    /// `Invalid` for a topic without a handler here, and those of
    /// [`drain`](Messaging::drain): `Unavailable` as soon as the connection breaks. What a handler
    /// returns is no error: the [`Ran`] has it.
    pub fn run_one(&mut self, topic: &str) -> Result<Option<Ran>> {
        self.prepare()?;
        let found = self.handlers.iter_mut().find(|(name, _)| name == topic);
        let Some((_, run)) = found else {
            topic::check(topic)?;
            return Err(Error::invalid(format!(
                "topic {topic} has no handler here, add one with on()"
            )));
        };
        let before = self.ran.len();
        let runs = RunExtent {
            is_single: true,
            ran: &mut self.ran,
        };
        run(self.messaging, runs)?;
        Ok(self.ran.get(before).cloned())
    }

    /// Runs messages of all topics with a handler here until none is ready or due, also those
    /// that handlers send to each other. Messages that wait for their time stay. Returns what
    /// became of each, in the order of their commits, topic by topic.
    ///
    /// # Errors
    /// The same as [`run_one`](Self::run_one); [`ran`](Self::ran) has what was run before.
    pub fn run_ready(&mut self) -> Result<Vec<Ran>> {
        let before = self.ran.len();
        self.work_off()?;
        Ok(self.ran[before..].to_vec())
    }

    /// Does the same, and lets time pass whenever none is ready any more, to the next time that a
    /// message of these topics waits for: a delay, a backoff, a snooze, the end of a lease whose
    /// holder died. What has expired by then expires. Ends when nothing waits; messages after
    /// others that never end stay.
    ///
    /// Recurring messages never end, so it does not wait for those: [`run_for`](Self::run_for)
    /// does.
    ///
    /// # Errors
    /// The same as [`run_ready`](Self::run_ready), and `Invalid` if it does not become idle: a
    /// handler that snoozes one message more than 50 times, or time was skipped 1,000 times, since
    /// one sends to itself with a delay.
    pub fn run_until_idle(&mut self) -> Result<Vec<Ran>> {
        let before = self.ran.len();
        for _ in 0..MOST_SKIPS {
            self.work_off()?;
            match self.next_due(false)? {
                Some(_) if self.snoozes(before) > MOST_SNOOZES => break,
                Some(wait) => self.advance(wait + BEYOND)?,
                None => return Ok(self.ran[before..].to_vec()),
            }
        }
        Err(not_idle())
    }

    /// Runs what becomes due within a time, which passes without waiting: delays, backoffs,
    /// expiry and, with the feature `cron`, recurring messages of all topics. Each is run when its
    /// time comes. Recurring messages are sent as if the database's clock had gone on: those of
    /// every hour, `run_for` a day, 24 times.
    ///
    /// # Errors
    /// The same as [`run_ready`](Self::run_ready).
    pub fn run_for(&mut self, duration: Duration) -> Result<Vec<Ran>> {
        let before = self.ran.len();
        let mut left = duration;
        loop {
            self.work_off()?;
            match self.next_due(true)? {
                Some(wait) if wait + BEYOND <= left => {
                    self.advance(wait + BEYOND)?;
                    left -= wait + BEYOND;
                }
                _ => {
                    self.advance(left)?;
                    self.work_off()?;
                    return Ok(self.ran[before..].to_vec());
                }
            }
        }
    }

    /// Lets time pass, without waiting and without running anything: see [`advance`].
    ///
    /// # Errors
    /// Those of [`advance`].
    ///
    /// [`advance`]: crate::testing::advance
    pub fn advance(&self, duration: Duration) -> Result<()> {
        self.messaging.advance(duration)
    }

    /// Returns all that was run so far, also before an error.
    pub fn ran(&self) -> &[Ran] {
        &self.ran
    }

    /// Runs all that is ready or due.
    fn work_off(&mut self) -> Result<()> {
        self.prepare()?;
        loop {
            let before = self.ran.len();
            for (_, run) in &mut self.handlers {
                let runs = RunExtent {
                    is_single: false,
                    ran: &mut self.ran,
                };
                run(self.messaging, runs)?;
            }
            if self.ran.len() == before {
                return Ok(());
            }
        }
    }

    /// Returns how often the message was snoozed that was snoozed most.
    fn snoozes(&self, since: usize) -> usize {
        let mut counts: HashMap<MessageId, usize> = HashMap::new();
        for one in &self.ran[since..] {
            if matches!(one.outcome, RunOutcome::Snoozed { .. }) {
                *counts.entry(one.id).or_default() += 1;
            }
        }
        counts.into_values().max().unwrap_or_default()
    }

    /// Waits until no message of these topics is in other hands.
    fn await_free(&self) -> Result<()> {
        let topics = self.topics();
        let sql = "SELECT (SELECT count(*) FROM outtray.message WHERE topic = ANY ($1::text[])) <= (\
            SELECT count(*) FROM (\
                SELECT FROM outtray.message WHERE topic = ANY ($1::text[]) FOR UPDATE SKIP LOCKED\
            ) AS free)";
        let started = Instant::now();
        loop {
            let is_free: bool = self.anew(|connection, base| {
                let sql = base.process.schema.place(sql).into_owned();
                let row = connection.client().query_one(&sql, &[&topics]);
                row.and_then(|row| row.try_get(0))
                    .map_err(|error| classify(error, "looking whether messages are free"))
            })?;
            if is_free || started.elapsed() > FREE_WITHIN {
                return Ok(());
            }
            let _ = after(LOOK_EVERY).recv();
        }
    }

    fn topics(&self) -> Vec<&str> {
        self.handlers.iter().map(|(name, _)| &**name).collect()
    }

    /// Waits for messages in other hands, and sends the recurring messages that are due, which
    /// otherwise the upkeep thread does.
    fn prepare(&self) -> Result<()> {
        self.await_free()?;
        #[cfg(feature = "cron")]
        self.anew(crate::testing::recurrences::send_due)?;
        Ok(())
    }

    /// Returns how long the next message waits of those topics that have a handler here or, with
    /// those that recur, whatever is due first.
    fn next_due(&self, has_recurring: bool) -> Result<Option<Duration>> {
        let topics = self.topics();
        let mut sql = "SELECT min(due_at) AS at FROM outtray.scheduled \
            WHERE topic = ANY ($1::text[]) AND due_at < 'infinity' \
            UNION ALL SELECT min(not_before) FROM outtray.message WHERE topic = ANY ($1::text[])"
            .to_owned();
        if has_recurring && cfg!(feature = "cron") {
            sql += " UNION ALL SELECT min(next_at) FROM outtray.recurring WHERE paused_at IS NULL";
        }
        let sql = format!(
            "SELECT CASE WHEN min(at) IS NOT NULL \
                THEN (greatest(extract(epoch FROM min(at) - clock_timestamp()), 0) * 1000000)::bigint END \
             FROM ({sql}) AS due"
        );
        self.anew(|connection, base| {
            let sql = base.process.schema.place(&sql).into_owned();
            let row = connection.client().query_one(&sql, &[&topics]);
            let wait: Option<i64> = row
                .and_then(|row| row.try_get(0))
                .map_err(|error| classify(error, "looking what is due next"))?;
            Ok(wait.map(|us| Duration::from_micros(us.unsigned_abs())))
        })
    }
}

impl Runner<'_> {
    /// Runs what may run twice on a connection of the pool. Where a fault broke connections that
    /// are idle there, each is met once.
    fn anew<R>(&self, work: impl Fn(&mut Connection, &Base) -> Result<R>) -> Result<R> {
        let mut worked = self.messaging.with_connection(&work);
        for _ in 0..MOST_BROKEN {
            match &worked {
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    worked = self.messaging.with_connection(&work);
                }
                _ => break,
            }
        }
        worked
    }
}

fn not_idle() -> Error {
    Error::invalid(
        "still not idle: does a handler snooze for ever, or send to itself with a delay? run_for(time) ends",
    )
}
