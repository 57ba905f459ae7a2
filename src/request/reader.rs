//! The thread that reads the inbox of a process, on one connection, for all who wait.

use crate::connect::connection::Connection;
use crate::message::claimed::{Claimed, Held};
use crate::message::floor::Floors;
use crate::observe::fields::told;
use crate::receive::claim::claim;
use crate::receive::shared_state::Base;
use crate::request::inbox::Inbox;
use crate::request::questions::Questions;
use crate::threads::Stop;
use crate::threads::mutex::Mutex;
use crate::threads::pause::Pause;
use crate::words::envelope::CORRELATION_ID;
use crate::words::{Result, chain};
use crossbeam_channel::select;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long the inbox stays open after the last question: one who asks now and then does not open
/// it anew each time.
const LINGER: Duration = Duration::from_secs(10);
/// How soon it is looked at without a hint while somebody waits, and the longest time between two
/// such looks: hints may be impossible, and the poll of the process is for every two seconds.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(1);
/// How long replies that were passed on stay where no look for others removes them.
const REMOVED_WITHIN: Duration = Duration::from_millis(100);

/// What reads an inbox.
pub(crate) struct InboxReader {
    base: Base,
    inbox: Arc<Inbox>,
    questions: Arc<Questions>,
    floors: Mutex<Floors>,
    /// Held while somebody waits.
    connection: Option<Connection>,
    /// Replies that were passed on, and not removed yet.
    passed_on: Vec<Held>,
    looked_at: Instant,
    /// How long after that it looks without a hint.
    patience: Duration,
    /// When a look further back is due.
    sweep_at: Option<Instant>,
    /// Whether the last look found as much as it asked for.
    is_behind: bool,
}

impl InboxReader {
    pub(crate) fn new(base: Base, inbox: Arc<Inbox>, questions: Arc<Questions>) -> Self {
        InboxReader {
            base,
            inbox,
            questions,
            floors: Mutex::new(Floors::new()),
            connection: None,
            passed_on: Vec::new(),
            looked_at: Instant::now(),
            patience: FIRST_LOOK,
            sweep_at: None,
            is_behind: false,
        }
    }

    /// Reads until stopped, or until nobody waited for a while, or the inbox is lost.
    pub(crate) fn run(mut self, stop: &Stop) {
        let mut pause = Pause::new();
        while self.wait(stop) {
            if self.inbox.is_lost() || self.questions.close_if_idle(&self.inbox, LINGER) {
                break;
            }
            match self.look() {
                Ok(()) => pause.reset(),
                Err(error) => {
                    let error = chain(&error);
                    tracing::debug!(error = told(&error), "no replies for now: {error}");
                    if !pause.wait(stop) {
                        break;
                    }
                    self.is_behind = true;
                }
            }
        }
        self.close();
        if let Err(error) = self.end() {
            let (topic, error) = (&self.inbox.topic, chain(&error));
            tracing::debug!(
                topic = told(topic),
                error = told(&error),
                "topic {topic} ends after its grace time: {error}"
            );
        }
    }

    /// Lets nobody wait for what is not read any more.
    fn close(&self) {
        self.questions.close(&self.inbox);
        self.base.process.holdings.leave(&self.inbox.topic);
    }

    /// Waits until it is time to look. Returns whether to go on.
    fn wait(&mut self, stop: &Stop) -> bool {
        loop {
            let at = self.next_at();
            select! {
                recv(stop.signal()) -> _ => return false,
                recv(self.inbox.station.permits()) -> _ => return true,
                recv(self.inbox.asked) -> _ => {
                    self.patience = FIRST_LOOK;
                    self.looked_at = Instant::now();
                    // While the question is on its way. If there is none, the look says why.
                    self.connection = self.connected().ok();
                }
                default(at.saturating_duration_since(Instant::now())) => return true,
            }
        }
    }

    /// Returns when to look next if no hint comes. Gives the connection back where nobody waits.
    fn next_at(&mut self) -> Instant {
        if self.is_behind {
            return self.looked_at;
        }
        let idle_since = self.questions.idle_since(&self.inbox);
        if !self.passed_on.is_empty() {
            return self.looked_at + REMOVED_WITHIN;
        }
        match idle_since {
            None => {
                let at = self.looked_at + self.patience;
                self.sweep_at.map_or(at, |sweep| sweep.min(at))
            }
            Some(since) => {
                if let Some(connection) = self.connection.take() {
                    self.base.dedicated.give_back(connection);
                }
                since + LINGER
            }
        }
    }

    /// Looks once: passes replies on, and removes those that were.
    fn look(&mut self) -> Result<()> {
        let mut connection = self.connected()?;
        self.looked_at = Instant::now();
        let (inbox, floors, passed_on) = (&self.inbox, &self.floors, &mut self.passed_on);
        let mut removed = Vec::new();
        let plan = floors.lock().plan(self.looked_at);
        let taken = claim(floors, plan, |plan| {
            let looked = inbox.look(&mut connection, floors, passed_on, plan)?;
            removed.append(passed_on);
            Ok(Some(looked))
        })?;
        self.connection = Some(connection);
        self.base.waker.announce_ends(removed.iter());
        self.is_behind = taken.is_full;
        let owed = self.sweep_at.filter(|at| *at > self.looked_at);
        let wait = taken.wait.map(|wait| self.looked_at + wait);
        // What was owed before is owed still, unless this look saw all there is.
        self.sweep_at = wait.or(owed.filter(|_| !taken.is_sure));
        self.patience = match taken.messages.is_empty() {
            true => (self.patience * 3 / 2).min(LONGEST_LOOK),
            false => FIRST_LOOK,
        };
        for reply in taken.messages {
            self.passed_on.push(reply.held.clone());
            self.pass_on(reply);
        }
        self.questions.end_overdue(self.looked_at);
        Ok(())
    }

    fn connected(&mut self) -> Result<Connection> {
        match self.connection.take() {
            Some(connection) if !connection.is_closed() && !connection.is_outdated() => {
                Ok(connection)
            }
            _ => self.base.dedicated.take(),
        }
    }

    fn pass_on(&self, reply: Claimed) {
        let id = reply.held.id;
        let correlation = reply.headers.get(CORRELATION_ID);
        let question = correlation.and_then(|text| Uuid::parse_str(text).ok());
        match question {
            Some(question) if self.questions.answer(question, reply) => {}
            Some(question) => tracing::debug!(
                message_id = told(&id),
                "message {id} replies to request {question}, for which nobody waits any more: dropped"
            ),
            None => tracing::debug!(
                message_id = told(&id),
                "message {id} came as a reply and does not say to what: dropped"
            ),
        }
    }

    fn end(&mut self) -> Result<()> {
        let mut connection = self.connected()?;
        self.inbox.end(&mut connection, &self.base.waker)?;
        self.base.dedicated.give_back(connection);
        Ok(())
    }
}

impl Drop for InboxReader {
    /// Also if the thread panicked.
    fn drop(&mut self) {
        self.close();
    }
}
