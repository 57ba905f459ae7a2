//! The duties of the upkeep thread, and the connection they share.

use crate::cancel::round::Cancelled;
use crate::completion::round::Completions;
use crate::connect::connection::Connection;
use crate::connect::dedicated::Dedicated;
use crate::crashes::presence::Enrolled;
use crate::crashes::round::end_if_over;
use crate::crashes::round::{Newcomer, Presence};
use crate::dependencies::round::Dependents;
use crate::expiry::round::Expiry;
use crate::keys::round::Stalled;
use crate::on_end::push_ended;
#[cfg(feature = "cron")]
use crate::recurring::round::Recurrences;
use crate::schedule::round::Due;
use crate::schedule::{self, TopicState};
use crate::session::process::Process;
use crate::threads::cost::Cost;
use crate::upkeep::duty::{Duty, Troubles, Turns};
use crate::upkeep::prune::Prune;
use crate::wake::hint::Hint;
use crate::wake::waker::Waker;
use crate::words::Result;
use crate::words::sqlstate::is_held_up;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

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

/// All that is done for the receivers of a process.
pub(crate) struct Duties {
    dedicated: Arc<Dedicated>,
    kit: Arc<Process>,
    waker: Arc<Waker>,
    connection: Option<Connection>,
    due: Due,
    expiry: Expiry,
    #[cfg(feature = "cron")]
    recurrences: Recurrences,
    dependents: Dependents,
    completions: Completions,
    cancelled: Cancelled,
    stalled: Stalled,
    presence: Presence,
    prune: Prune,
    poll_interval: Duration,
    poll_at: Instant,
    /// What polls take.
    poll_cost: Cost,
    /// Whether the last poll asked the database: somebody waited.
    is_polling: bool,
    glance_at: Instant,
    /// When settings of topics changed last, as far as they were read.
    changed_at: Option<String>,
    troubles: Troubles,
    turns: Turns,
}

impl Duties {
    pub(crate) fn new(
        dedicated: Arc<Dedicated>,
        kit: Arc<Process>,
        waker: Arc<Waker>,
        poll_interval: Duration,
        process: String,
    ) -> Self {
        let settings = dedicated.settings();
        let presence = Presence::new(&settings.schema, process, !settings.is_pooler_safe);
        Duties {
            presence,
            dedicated,
            kit,
            waker,
            connection: None,
            due: Due::default(),
            expiry: Expiry::default(),
            #[cfg(feature = "cron")]
            recurrences: Recurrences::default(),
            prune: Prune::new(),
            dependents: Dependents::default(),
            completions: Completions::new(),
            cancelled: Cancelled::default(),
            stalled: Stalled::new(push_ended),
            poll_interval,
            poll_at: Instant::now(),
            poll_cost: Cost::default(),
            is_polling: false,
            glance_at: Instant::now() + GLANCE_INTERVAL,
            changed_at: None,
            troubles: Troubles::default(),
            turns: Turns::default(),
        }
    }

    /// Returns when the next duty is to be done.
    pub(crate) fn next_at(&self) -> Instant {
        let duties = Duty::ALL.iter().filter_map(|duty| self.at(*duty));
        duties.fold(self.glance_at, Instant::min)
    }

    /// Returns when a duty is to be done, if it is known.
    fn at(&self, duty: Duty) -> Option<Instant> {
        let at = match duty {
            Duty::Due => self.due.at(),
            Duty::Expiry => self.expiry.at(),
            #[cfg(feature = "cron")]
            Duty::Recurrences => self.recurrences.at(),
            Duty::Cancelled => self.cancelled.at(),
            Duty::Dependents => self.dependents.at(),
            Duty::Completions => self.completions.at(),
            Duty::Stalled => Some(self.stalled.at()),
            Duty::Poll => Some(self.poll_at),
            Duty::Presence => Some(self.presence.at()),
            Duty::Idle => self.presence.idle_at(),
            Duty::Prune => Some(self.prune.at()),
        };
        at.map(|at| self.troubles.put_off(duty, at))
    }

    /// Makes the poll due now: hints may have been lost.
    pub(crate) fn look_now(&mut self) {
        self.poll_at = Instant::now();
    }

    /// Learns that messages may have ended, and looks at what comes after them.
    pub(crate) fn learn_ended(&mut self, ended: Vec<Uuid>) {
        self.dependents.learn(ended);
    }

    /// Learns that a thread waits for a message to end. Its end may need a message to be moved
    /// first, and nobody else may be there who does that.
    pub(crate) fn watch_ends(&mut self) {
        self.completions.watch();
        if !self.is_polling {
            self.look_now();
        }
    }

    /// Learns that messages ended in another process.
    pub(crate) fn heard_of_ends(&mut self) {
        self.completions.heard();
    }

    /// Learns that messages in work are to be given up.
    pub(crate) fn heard_of_cancels(&mut self) {
        self.cancelled.heard();
    }

    pub(crate) fn learn_due(&mut self, delay: Duration) {
        self.due.learn(delay);
    }

    pub(crate) fn learn_stalled(&mut self) {
        self.stalled.learn();
    }

    /// Does the next of what is to be done by now, also when it fails. Only one thing, and that for
    /// a part of a second: errands come in between.
    ///
    /// # Errors
    /// That the connection is lost, and with it whatever else is due.
    pub(crate) fn run(&mut self) -> Result<()> {
        self.dedicated.close_idle();
        let now = Instant::now();
        if self.waker.take_missed_ends() {
            self.dependents.sweep_soon();
        }
        if self.glance_at <= now {
            self.glance_at = now + GLANCE_INTERVAL;
            if self.waker.board.take_parked() {
                self.poll_at = self.poll_at.min(now);
            }
        }
        let mut turns = std::mem::take(&mut self.turns);
        let next = turns.next(|duty| self.at(duty).is_some_and(|at| at <= now));
        self.turns = turns;
        let Some(duty) = next else {
            return Ok(());
        };
        let mut connection = self.connected()?;
        let done = self.perform(duty, &mut connection);
        let is_lost = !self.keep(connection);
        let Err(error) = done else {
            self.troubles.end(duty);
            return Ok(());
        };
        // Also when the connection is lost: maybe by what this duty does, each time.
        let is_news = self.troubles.note(duty, &error);
        if is_lost {
            return Err(error);
        }
        if is_news {
            log::warn!("upkeep: {error}");
        }
        Ok(())
    }

    fn perform(&mut self, duty: Duty, connection: &mut Connection) -> Result<()> {
        let waker = &self.waker;
        match duty {
            Duty::Due => self.due.run(connection, waker),
            Duty::Expiry => {
                let configs = &self.kit.configs;
                self.expiry.run(connection, configs, waker)
            }
            #[cfg(feature = "cron")]
            Duty::Recurrences => self.recurrences.run(connection, &self.kit, waker),
            Duty::Cancelled => {
                let removed = self.cancelled.run(connection, waker)?;
                removed.announce(waker);
                self.dependents.learn(removed.tracked());
                Ok(())
            }
            Duty::Dependents => {
                if let Some(delay) = self.dependents.run(connection, waker)? {
                    self.due.learn(delay);
                    waker.tell(Hint::Due);
                }
                Ok(())
            }
            Duty::Completions => self.completions.run(connection, waker),
            Duty::Stalled => self.stalled.run(connection, waker),
            // Hints may be lost until it works again, so not only after the next interval.
            Duty::Poll => self.poll(connection).inspect_err(|error| {
                self.look_now();
                if is_held_up(error) {
                    // By what concerns one thing of many that it asks for: the others are looked at
                    // unasked.
                    self.due.learn(Duration::ZERO);
                    self.waker.board.ring_all();
                }
            }),
            Duty::Presence => self.presence.run(connection, waker),
            Duty::Idle => self.presence.note_idle(connection),
            Duty::Prune => self.prune.run(connection, &self.kit, waker),
        }
    }

    /// Asks once for all topics of the process.
    fn poll(&mut self, connection: &mut Connection) -> Result<()> {
        let started = Instant::now();
        self.poll_at = started + self.poll_interval;
        let mut topics = self.waker.board.topics();
        if topics.is_empty() && !self.waker.waiters.is_empty() {
            // A topic that there cannot be: what is asked for all topics is asked for those who
            // wait for ends.
            topics.push(String::new());
        }
        self.is_polling = !topics.is_empty();
        if !self.is_polling {
            return Ok(());
        }
        let polled = schedule::poll(connection, &topics)?;
        if polled.changed_at != self.changed_at {
            self.kit.configs.read(connection)?;
            self.changed_at = polled.changed_at;
            // Who was paused or limited looks again.
            self.waker.board.ring_all();
        }
        if polled.has_dependents {
            self.dependents.sweep_soon();
        }
        self.cancelled.polled(polled.has_cancellations, &self.waker);
        // Behind many dead rows a poll is slow, as a sweep is: it gets its share and no more.
        let cost = started.elapsed().saturating_sub(POLL_FREE);
        let pause = self.poll_cost.learn(cost) * POLL_SHARE;
        let paid_for = Instant::now() + pause.min(LONGEST_PAUSE);
        self.poll_at = self.poll_at.max(paid_for);
        self.glance_at = self.glance_at.max(paid_for);
        for state in &polled.topics {
            if state.is_ready {
                self.waker.board.ring(&state.topic, 1);
            }
        }
        if let Some(delay) = polled.next_due {
            self.due.learn(delay);
        }
        self.expiry.learn(polled.next_expiry);
        #[cfg(feature = "cron")]
        self.recurrences.learn(polled.next_recurring);
        if polled.has_stalled {
            self.stalled.learn();
        }
        let mut topics = polled.topics.iter();
        topics.try_for_each(|state| self.learn_suspect(connection, state))
    }

    /// Learns whether a topic is suspect, and ends that if what may have been in hand has ended: no
    /// worker may be there that asks.
    fn learn_suspect(&self, connection: &mut Connection, state: &TopicState) -> Result<()> {
        let (waker, topic) = (&self.waker, &state.topic);
        let is_news = waker.board.suspect(topic, state.suspect_for);
        if state.suspect_for.is_zero() {
            if is_news {
                log::info!("topic {topic}: suspect no more");
            }
            return Ok(());
        }
        if is_news {
            log::warn!(
                "topic {topic}: suspect, a process died that may have had messages in hand; until they have ended, \
                 deliveries are counted ahead"
            );
        }
        end_if_over(connection, waker, topic)
    }

    /// Records a receiver; returns its row, and for how long its topic is suspect. It is not on the
    /// board yet, and has to know before its first claim: that may be of what killed its
    /// predecessor.
    pub(crate) fn enroll(&mut self, newcomer: &Newcomer) -> Result<(Enrolled, Duration)> {
        let enrolled = self.with_connection(|duties, connection| {
            let waker = &duties.waker;
            // It has to know before its first claim, too, whether the topic is paused.
            duties.kit.configs.read(connection)?;
            duties.presence.enroll(connection, waker, newcomer)
        })?;
        // Its station is about to be on the board: find what waits for it.
        self.look_now();
        Ok(enrolled)
    }

    pub(crate) fn sign_off(&mut self, receiver: &Enrolled) -> Result<()> {
        self.presence.forget(receiver);
        self.with_connection(|duties, connection| duties.presence.sign_off(connection, receiver))
    }

    /// Signs off whoever is left, if the database can be reached.
    pub(crate) fn sign_off_all(&mut self) {
        for receiver in self.presence.mine() {
            if let Err(error) = self.sign_off(&receiver) {
                log::debug!(
                    "a receiver of topic {} ends without signing off: {error}",
                    receiver.topic
                );
                return;
            }
        }
    }

    /// Runs `work` on the connection, which is opened first if need be and dropped if it broke.
    fn with_connection<T>(
        &mut self,
        work: impl FnOnce(&mut Self, &mut Connection) -> Result<T>,
    ) -> Result<T> {
        let mut connection = self.connected()?;
        let done = work(self, &mut connection);
        self.keep(connection);
        done
    }

    /// Takes the connection, which is opened if need be.
    fn connected(&mut self) -> Result<Connection> {
        match self.connection.take() {
            Some(connection) if !connection.is_closed() && !connection.is_outdated() => {
                Ok(connection)
            }
            _ => {
                let mut connection = Connection::open(self.dedicated.settings())?;
                connection.bound_waits()?;
                connection.read_by_index()?;
                self.presence.reconnected(&mut connection)?;
                Ok(connection)
            }
        }
    }

    /// Keeps the connection unless it broke; returns whether it did not.
    fn keep(&mut self, connection: Connection) -> bool {
        let is_open = !connection.is_closed();
        if is_open {
            self.connection = Some(connection);
        }
        is_open
    }
}
