//! The duties of the upkeep thread: its rounds, what receivers ask of it, and the connection that
//! all of this shares.

use crate::connect::connection::Connection;
use crate::connect::dedicated::Dedicated;
use crate::crashes::newcomer::{Caution, Newcomer};
use crate::crashes::presence::Enrolled;
use crate::crashes::round::Presence;
use crate::observe::fields::told;
use crate::observe::spans;
use crate::processes::crews::Crews;
use crate::processes::identity::ProcessIdentity;
use crate::session::process::Process;
use crate::tallies;
use crate::upkeep::rounds::Rounds;
use crate::upkeep::turns::{Troubles, Turns};
use crate::wake::round::Work;
use crate::wake::waker::Waker;
use crate::words::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// All that is done for the receivers of a process.
pub(crate) struct Duties {
    dedicated: Arc<Dedicated>,
    process: Arc<Process>,
    waker: Arc<Waker>,
    connection: Option<Connection>,
    pub(crate) rounds: Rounds,
    troubles: Troubles,
    turns: Turns,
}

impl Duties {
    pub(crate) fn new(
        dedicated: Arc<Dedicated>,
        process: Arc<Process>,
        waker: Arc<Waker>,
        poll_interval: Duration,
        identity: ProcessIdentity,
        crews: Arc<Crews>,
    ) -> Self {
        let holds_locks = !dedicated.settings().is_pooler_safe;
        let presence = Presence::new(&process.schema, identity, crews, holds_locks);
        Duties {
            rounds: Rounds::new(&process, presence, poll_interval),
            dedicated,
            process,
            waker,
            connection: None,
            troubles: Troubles::default(),
            turns: Turns::default(),
        }
    }

    /// Returns when there is something to do next.
    pub(crate) fn next_at(&mut self) -> Instant {
        let times = self.times().into_iter().flatten();
        times.fold(self.rounds.poll.glance_at(), Instant::min)
    }

    /// Says when there is something to do next, for those who look whether it is done in time.
    pub(crate) fn note_next(&self, at: Option<Instant>) {
        self.dedicated.signs.note_upkeep(at);
    }

    /// Returns when each round is to be run, later where it fails.
    fn times(&mut self) -> Vec<Option<Instant>> {
        let troubles = &self.troubles;
        let times = self.rounds.times().into_iter().enumerate();
        let put_off =
            |(place, at): (usize, Option<Instant>)| at.map(|at| troubles.put_off(place, at));
        times.map(put_off).collect()
    }

    /// Learns that a thread waits for a message to end. Its end may need a message to be moved
    /// first, and nobody else may be there who does that.
    pub(crate) fn watch_ends(&mut self) {
        self.rounds.completions.watch();
        self.rounds.poll.look_unless_asking();
    }

    /// Runs the next of the rounds that are due by now, also when it fails. Only one, and that for
    /// a part of a second: errands come in between.
    ///
    /// # Errors
    /// That the connection is lost, and with it whatever else is due.
    pub(crate) fn run(&mut self) -> Result<()> {
        self.dedicated.close_idle();
        let now = Instant::now();
        if self.waker.take_missed_ends() {
            self.rounds.dependents.sweep_soon();
        }
        self.rounds.poll.glance(&self.waker, now);
        let times = self.times().into_iter();
        let is_due: Vec<bool> = times.map(|at| at.is_some_and(|at| at <= now)).collect();
        let Some(place) = self.turns.next(&is_due) else {
            return Ok(());
        };
        let mut connection = self.connected()?;
        let mut work = Work {
            connection: &mut connection,
            waker: &self.waker,
            settings: &self.process.configs,
        };
        let span = spans::upkeep(Rounds::name(place));
        let done = spans::within(span, |_| self.rounds.run(place, &mut work));
        let is_lost = !self.keep(connection);
        let Err(error) = done else {
            self.troubles.end(place);
            return Ok(());
        };
        // Also when the connection is lost: maybe by what this round does, each time.
        let is_news = self.troubles.note(place, &error);
        if is_lost {
            return Err(error);
        }
        if is_news {
            tracing::warn!(error = told(&error), "upkeep: {error}");
        }
        Ok(())
    }

    /// Records a receiver; returns its row, and how careful it is to be. It is not on the board
    /// yet, and has to know before its first claim: that may be of what killed its predecessor.
    pub(crate) fn enroll(&mut self, newcomer: &Newcomer) -> Result<(Enrolled, Caution)> {
        let enrolled = self.with_connection(|duties, connection| {
            let waker = &duties.waker;
            // It has to know before its first claim, too, whether the topic is paused.
            duties.process.configs.read(connection)?;
            duties.rounds.presence.enroll(connection, waker, newcomer)
        })?;
        self.rounds.idle.enter(&enrolled.0, &newcomer.hands);
        // Its station is about to be on the board: find what waits for it.
        self.rounds.poll.look_now();
        Ok(enrolled)
    }

    /// Signs a receiver off. Where that fails it is tried again.
    pub(crate) fn sign_off(&mut self, receiver: &Enrolled) -> Result<()> {
        self.rounds.presence.leave(receiver);
        self.rounds.idle.leave(receiver);
        self.with_connection(|duties, connection| {
            duties.rounds.presence.sign_off(connection, receiver)?;
            // The process may be about to end.
            tallies::write(connection, &duties.waker.observers).map(drop)
        })
    }

    /// Releases what comes after messages that ended and that nobody looked at yet. Where the
    /// connection does not work, a sweep of another process does.
    pub(crate) fn follow_up_ends(&mut self) {
        let ends = self.waker.ends().try_iter();
        ends.for_each(|ended| self.rounds.dependents.learn(ended));
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        let mut work = Work {
            connection: &mut connection,
            waker: &self.waker,
            settings: &self.process.configs,
        };
        if let Err(error) = self.rounds.follow_up_ends(&mut work) {
            tracing::debug!(
                error = told(&error),
                "messages that come after others are left to a sweep: {error}"
            );
        }
        self.keep(connection);
    }

    /// Writes what was counted and is not written yet, if the connection works.
    pub(crate) fn write_tallies(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            let _ = tallies::write(&mut connection, &self.waker.observers);
            self.keep(connection);
        }
    }

    /// Signs off whoever is left, if the database can be reached.
    pub(crate) fn sign_off_all(&mut self) {
        for receiver in self.rounds.presence.all() {
            if let Err(error) = self.sign_off(&receiver) {
                tracing::debug!(
                    error = told(&error),
                    "a receiver of topic {} ends without signing off: {error}",
                    receiver.topic
                );
                if !self.is_connected() {
                    return;
                }
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
        // The old one goes first: it has the locks that say that receivers live.
        let kept = self.connection.take();
        if let Some(kept) = kept.filter(|kept| !kept.is_closed() && !kept.is_outdated()) {
            return Ok(kept);
        }
        let mut connection = Connection::open(self.dedicated.settings())?;
        connection.bound_waits()?;
        connection.read_by_index()?;
        self.rounds.presence.reconnected(&mut connection)?;
        Ok(connection)
    }

    /// Returns whether there is a connection that was well when it was used last.
    pub(crate) fn is_connected(&self) -> bool {
        self.connection.is_some()
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
